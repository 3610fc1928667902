"""Load weights straight into place instead of over an initialised copy."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, on_off, unless


def apply(build: Build, value: bool) -> None:
    if not value:  # true is already the libraries' default
        build.load["low_cpu_mem_usage"] = False
    build.around_load.append(lambda: _counting(build.notes.setdefault("initialised", Counter())))


@contextlib.contextmanager
def _counting(counter: Counter) -> Iterator[None]:
    """Count the initialisations of Linear layers by the device that their weights are on."""
    from torch import nn

    real = nn.Linear.reset_parameters

    def reset_parameters(self: nn.Linear) -> None:
        counter[self.weight.device.type] += 1
        real(self)

    nn.Linear.reset_parameters = reset_parameters
    try:
        yield
    finally:
        nn.Linear.reset_parameters = real


def observe(build: Build, value: bool) -> Seen:
    if build.model.get("source") == "random":
        reason = "random weights are made on the device, not loaded"
        return Seen(True, reason, applied=value, reason=reason)
    counter = build.notes["initialised"]
    real, all = counter.total() - counter["meta"], counter.total()
    how = f"{real} of {all} Linear layers were initialised in memory before their weights were read"
    reason = "" if value else "transformers' models never initialise what they load, whatever is asked"
    return Seen(real == 0, how, reason=reason)


LOW_CPU_MEM_USAGE = Toggle(
    name="low_cpu_mem_usage",
    phase=Phase.LOAD,
    values="true | false",
    default=True,
    parse=on_off,
    apply=apply,
    observe=observe,
    cost="none",
    about="Weights are read into empty models instead of over random initial ones: half the memory while loading.\n"
    "diffusers and transformers do it by default, so only turning it off changes something.",
    source="Speed & Memory Optimization Guide, 8; Speed Optimizations Guide, 'Configuration'",
    tolerance=0.0,
    code=unless(True, load="low_cpu_mem_usage=False"),
)
