"""A pipeline in this process that answers calls, and what a throughput study asks of it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mic2e_bench.plan import inputs
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import failures

if TYPE_CHECKING:
    from PIL import Image


class Pipeline:
    """A build in this process, ready for calls after ``warm_up``. Raises what stops its loading.

    ``others`` are trials that share it: they differ in the call alone.
    """

    def __init__(self, trial: Trial, others: Sequence[Trial] = ()) -> None:
        from mic2e_bench.run import assemble  # with torch

        self.trials, self.item = [trial, *others], inputs.read(trial.inputs)[0]
        self.build, loaded = assemble.make_build(trial)
        self.load_s = loaded["timing"]["load_s"]
        self.be(0)

    def be(self, which: int) -> None:
        """Make the calls of another of its trials from now on."""
        from mic2e_bench.run import assemble

        self.trial = self.trials[which]
        assemble.next_trial(self.build, self.trial)

    def warm_up(self) -> list[float]:
        """The calls of the protocol that do not count, in seconds."""
        from mic2e_bench.run import measure

        seconds: list[float] = []
        measure.warm_up(self.build, self.item, self.trial.protocol, lambda stage: None, seconds)
        return seconds

    def call(self, seed: int) -> dict[str, Any]:
        """One call: ``service_s``, the ``digest`` of its first picture, and ``memory`` of this process after it.

        Raises ``failures.Told`` where what it gave is no picture.
        """
        from mic2e_bench.run import measure

        self.build.faults = []
        service_s = measure.timed_call(self.build, self.item, seed)["latency_s"]
        if self.build.faults:
            raise failures.Told("invalid", "; ".join(self.build.faults))
        return {"service_s": service_s, "digest": digest(self.build.latest[0]), **memory(self.build.device)}

    def receipts(self) -> dict[str, dict[str, Any]]:
        """What was asked and what is in force, by a call with a witness, which is slower than others."""
        from mic2e_bench.catalog import kernels, watch
        from mic2e_bench.machine import probes
        from mic2e_bench.run import assemble

        build, ready = self.build, probes.synchroniser(self.build.device)
        with contextlib.ExitStack() as stack:
            stack.enter_context(build.around())
            if kernels.can_count(build.denoiser):
                stack.enter_context(kernels.count_kernels(build.witness, build.denoiser))
            stack.enter_context(watch.steps(build, ready))
            stack.enter_context(watch.watch(build.witness, build.modules(), build.pipeline.denoiser, ready))
            build.pipeline.call(build, self.item, self.trial.protocol["seeds"][0])
        return assemble.receipts(self.build, self.trial)

    def pictures(self) -> list[Any]:
        """Those of the last call, as arrays of bytes (height, width, 3)."""
        import numpy as np

        return [np.asarray(picture.convert("RGB")) for picture in self.build.latest]


def memory(device: str) -> dict[str, int | None]:
    """What this process holds now, in bytes; on a GPU what its allocator has reserved, and of that in use."""
    from mic2e_bench.machine import probes

    held = {"rss_bytes": probes.status_bytes("VmRSS")}
    if device.startswith("cuda"):
        import torch

        held |= {"reserved_bytes": torch.cuda.memory_reserved(), "allocated_bytes": torch.cuda.memory_allocated()}
    return held


def digest(picture: Image.Image) -> str:
    """The SHA-256 of a picture's pixels: to encode it would keep a worker busy that ought to be free."""
    return hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).hexdigest()


def in_force(receipts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """``status`` and ``reason``: whether all that was asked of a pipeline is in force, by its ``receipts``."""
    unapplied = {name: one for name, one in receipts.items() if not one["applied"]}
    reasons = [f"{name} {one['asked']}: {one['reason']}" for name, one in unapplied.items()]
    return {"status": "not_applied", "reason": "; ".join(reasons)} if reasons else {"status": "ok"}
