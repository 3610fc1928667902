"""What the guides claim (``params/claims.yaml``) beside what stored records give. Measures nothing; imports no torch.

A claim names settings, and only by its settings is a record found for it, never by a label or a study's name. A ratio
comes from two records of one environment, model, input and protocol that differ in the named settings alone. Records
are those of the studies and those that are kept under ``evidence``.

Of several answers the first in this order is shown: one on a device that the claim names; one with weights of the
published size on a GPU; one with such weights on a CPU; one with bundled weights. Within each, what was not disturbed
comes first, then published weights before random ones. Where several devices answer a claim, a table of its own sets
their figures side by side. The figures of one device must come from one environment.

Verdicts are by the whole of a figure's 95 % interval and never by its better end; ``verdicts`` has them all with what
each means. Where nothing answers, ``lacking`` says what is missing and the command that would; ``score`` counts claims
(an entry of the file, with all its figures) from the same outcomes as the cells. The guides' own tables, word for word,
are ``params/guides.yaml``.

A promise is reached from the worse end of its range on: a speed-up may be greater than claimed. A warning is judged as
strictly: what is said to cost 10-20 % must cost that, neither less nor more (a single figure: to its last digit). "No
change" leaves room for 2 %. Peaks of VRAM repeat exactly, those of a process within the noise that its
study shows. A † marks what other work or the machine itself disturbed: it has a figure, and never a verdict. Records of
a CPU answer claims about the amount of work (steps, resolution, guidance) and about loading; of what a precision, a
kernel or an offload does on a GPU they say nothing. Absolute claims need weights of the published size, and absolute
times the device that the guide names; a quality in % needs the published weights themselves.
Random weights answer nothing about quality and loading.
"""
