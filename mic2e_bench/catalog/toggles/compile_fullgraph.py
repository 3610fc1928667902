"""Whether torch.compile may leave parts of the denoiser to Python."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, in_call, one_of
from mic2e_bench.catalog.toggles.backends import compiling


def apply(build: Build, value: bool) -> None:
    compiling.arrange(build, fullgraph=value)


def observe(build: Build, value: bool) -> Seen:
    """One graph a compiled module is what fullgraph promises: a graph break would have ended the call."""
    found = compiling.compiled_modules(build.denoiser.modules())
    if not found:
        return Seen(False, "nothing is compiled", reason="nothing is compiled: it needs compile")
    breaks = compiling.of_trial(build).breaks.total()
    how = f"the compiler was given fullgraph {build.notes['compile']['fullgraph']}; {breaks} graph breaks in this trial"
    return Seen(build.notes["compile"]["fullgraph"] and not breaks, how)


FULLGRAPH = Toggle(
    name="compile_fullgraph",
    phase=Phase.COMPILE,
    values="true | false",
    default=False,
    parse=one_of(True, False),
    apply=apply,
    observe=observe,
    cost="none",
    about="Compile as one graph, and fail where Python has to run in between, instead of quietly splitting it.\n"
    "It makes nothing faster; it proves that there was no break.",
    source="docs: torch, 'torch.compile'",
    tolerance=0.02,
    code=in_call,
)
