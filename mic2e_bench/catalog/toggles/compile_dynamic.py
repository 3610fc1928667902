"""Whether compiled code takes sizes that it has not seen."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, in_call, one_of
from mic2e_bench.catalog.toggles.backends import compiling


def apply(build: Build, value: bool | str) -> None:
    compiling.arrange(build, dynamic=None if value == "auto" else value)


def observe(build: Build, value: bool | str) -> Seen:
    if not compiling.compiled_modules(build.denoiser.modules()):
        reason = "" if value == "auto" else "nothing is compiled: it needs compile"
        return Seen("auto", "nothing is compiled", reason=reason)
    count = len(compiling.of_trial(build).recompilations)
    given = build.notes["compile"]["dynamic"]
    return Seen("auto" if given is None else given, f"the compiler was given {given}; {count} recompilations here")


DYNAMIC = Toggle(
    name="compile_dynamic",
    phase=Phase.COMPILE,
    values="auto | true | false",
    default="auto",
    parse=one_of("auto", True, False),
    apply=apply,
    observe=observe,
    cost="none",
    about="true: sizes are variables from the start, so a new resolution needs no new compilation; false: never.\n"
    "auto: fixed at first, variable once a size has changed, which costs one recompilation.",
    source="docs: torch, 'Dynamic shapes'",
    tolerance=0.02,
    code=in_call,
)
