"""What cannot fit is not looked at: what is larger than something that ran out of memory, or than `fit` estimates."""

from __future__ import annotations

from dataclasses import dataclass, field

from mic2e_bench.catalog import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import fork_safety
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records.record import Record
from mic2e_bench.run import skipping
from mic2e_bench.tools.fit import cards
from mic2e_bench.units import GIB


@dataclass
class Room:
    """``capacity``: bytes of the GPU that is measured on, of this name; ``None`` on a CPU, where nothing is estimated.

    ``too_large`` has trials that ran out of memory.
    """

    capacity: float | None
    device: str = ""
    too_large: list[Trial] = field(default_factory=list)

    @classmethod
    def of(cls, baseline: Record) -> Room:
        """That of the device which a baseline was measured on."""
        return cls(baseline.memory.get("device_total_bytes"), baseline.environment.get("device") or "")

    def why_larger(self, trial: Trial) -> str:
        """Why a trial cannot fit, after those that did not; else empty."""
        return skipping.why(trial, self.too_large) if self.too_large else ""

    def why_not(self, trial: Trial) -> str:
        """Why `fit` estimates that a trial does not fit, which takes it some seconds; else empty."""
        if self.capacity is None:
            return ""
        with fork_safety.without_device():
            from mic2e_bench.tools.fit import accuracy
            from mic2e_bench.tools.fit.estimate import estimate

            try:
                made = estimate(
                    registry.pipeline(trial.pipeline), trial.model, trial.settings, accuracy.largest(trial.inputs)
                )
            except BadInput:
                return ""  # nothing is known of it
        if made.on(self.capacity, cards.workspace(self.device)).fits != "no":
            return ""
        sizes = f"{made.on_card / GIB:.1f} GiB of {self.capacity / GIB:.1f} GiB"
        return f"too large: fit estimates {sizes}; mic2e-bench run tries it all the same"
