"""What the guides claim (``params/claims.yaml``) beside what stored records give. Measures nothing; imports no torch.

A claim names settings, and only by its settings is a record found for it, never by a label or a study's name. A ratio
comes from two records of one environment, model, input and protocol that differ in the named settings alone. Records
are those of the studies and those that are kept under ``evidence``.

Of several answers the first in this order is shown: one on a device that the claim names; one with weights of the
published size on a GPU; one with such weights on a CPU; one with bundled weights. Within each, published weights come
before random ones. Where several devices answer a claim, a table of its own sets their figures side by side. The
figures of one device must come from one environment.

Verdicts
    holds       the measured figure reaches the claimed range: it is at least as good as the range's worse end. A
                speed-up may be greater than claimed, a cost smaller. Of a 95 % interval the better end counts.
    partly      the same direction, and less than claimed.
    does not    neither.
    not measurable here
                no record can answer, or the interval holds both "as claimed" and "no change"; the cell says why.

Without an interval (a peak of memory, fewer than three samples) a figure counts as reached within 2 %. Records of a CPU
or of stand-in weights answer claims about ratios, and the table says so; absolute claims need weights of the published
size, and absolute times the device that the guide names. Random weights answer nothing about quality and loading.
"""
