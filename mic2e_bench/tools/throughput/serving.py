"""A pipeline that answers calls: in this process, or in a child of the fork server."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.machine import surroundings, tied
from mic2e_bench.plan import inputs
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import failures, forkserver

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


class Server:
    """A child process with a ``Pipeline``; the parent asks, and waits on ``pipe``."""

    def __init__(self, trial: Trial, log: Path, others: Sequence[Trial] = (), is_fresh: bool = False) -> None:
        """Start it; ``ready`` waits until it can be asked. ``others`` as of ``Pipeline``, ``is_fresh``: spawned."""
        self.timeout_s, self.started = trial.protocol["timeout_s"], time.perf_counter()
        if is_fresh:
            self.process, self.pipe = _spawned(trial, log)
            return
        policy = wait_policy.of(trial.settings)
        self.process, self.pipe = forkserver.call(_serve, log, trial, list(others), policy=policy)

    def ready(self) -> dict[str, Any]:
        """``load_s``, ``warmup_s`` and ``start_s``, from the start of the process on. Raises ``failures.Told``."""
        loaded = self.answer()
        return {**loaded, "start_s": time.perf_counter() - self.started}

    def ask(self, method: str, *given: Any) -> None:
        """Begin a method of its ``Pipeline``, whose ``answer`` is to be fetched. A dead process says so there."""
        with contextlib.suppress(OSError):
            self.pipe.send((method, given))

    def answer(self) -> dict[str, Any]:
        """What the method gave. Raises ``failures.Told`` with the status of what stopped it."""
        if not wait([self.pipe], self.timeout_s):
            self.kill()
            raise failures.Told("timeout", f"no answer within {self.timeout_s} s")
        said = forkserver.receive(self.pipe)
        if said is None:
            self.process.join()
            raise failures.Told(*failures.died(self.process.exitcode, "serving"))
        if isinstance(said, dict) and "failed" in said:
            raise failures.Told(*said["failed"])
        return said

    def asked(self, method: str, *given: Any) -> Any:
        """Ask, and wait for the answer."""
        self.ask(method, *given)
        return self.answer()

    def call(self, seed: int) -> dict[str, Any]:
        """``Pipeline.call``."""
        return self.asked("call", seed)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()

    def close(self) -> float:
        """Let it end; returns how many seconds that took."""
        start = time.perf_counter()
        self.pipe.close()
        self.process.join(10)
        if self.process.is_alive():
            self.kill()
        return time.perf_counter() - start


def fresh_server(trial: Trial, log: Path) -> Server:
    """A server whose process is a new interpreter, which imports the libraries itself."""
    return Server(trial, log, is_fresh=True)


def without_warm_up(trial: Trial) -> Trial:
    """The trial whose first call counts, because somebody waits for it."""
    return replace(trial, protocol={**trial.protocol, "warmup": 0})


def with_share(trial: Trial, count: int, cores: float = 0) -> Trial:
    """The trial with its part of the processors, where so many of it run side by side and each would take them all.

    ``cores``: what each of them has, where that is known; else its part of those of this process.
    """
    if trial.settings["device"] != "cpu" or trial.settings["threads"] != "all":
        return trial
    threads = int(cores) or len(os.sched_getaffinity(0)) // count
    return replace(trial, settings={**trial.settings, "threads": max(1, threads)})


def first_free(servers: Sequence[Server], timeout_s: float) -> list[Server]:
    """Those of the servers that have something to say; none after ``timeout_s``."""
    ready = wait([server.pipe for server in servers], timeout_s)
    return [server for server in servers if server.pipe in ready]


def _spawned(trial: Trial, log: Path) -> tuple[Any, Connection]:
    made_by = multiprocessing.get_context("spawn")
    receiving, sending = made_by.Pipe()
    process = made_by.Process(target=_serve_logged, args=(log, trial, sending))
    with surroundings.without_main(), surroundings.without_interrupts():
        process.start()
    sending.close()
    return process, receiving


def _serve_logged(log: Path, trial: Trial, pipe: Connection) -> None:
    tied.tie(os.getppid())
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    _serve(trial, [], pipe)


def in_force(receipts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """``status`` and ``reason``: whether all that was asked of a pipeline is in force, by its ``receipts``."""
    unapplied = {name: one for name, one in receipts.items() if not one["applied"]}
    reasons = [f"{name} {one['asked']}: {one['reason']}" for name, one in unapplied.items()]
    return {"status": "not_applied", "reason": "; ".join(reasons)} if reasons else {"status": "ok"}


METHODS = ("call", "be", "warm_up", "receipts", "pictures")


def _serve(trial: Trial, others: list[Trial], pipe: Connection) -> None:
    """The child: load, warm up, answer until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    from mic2e_bench.run import preload  # noqa: F401 (forked, it is there; spawned, it is imported as the server does)

    try:
        pipeline = Pipeline(trial, others)
        pipe.send({"load_s": pipeline.load_s, "warmup_s": pipeline.warm_up()})
        while True:
            method, given = pipe.recv()
            try:
                answer = getattr(pipeline, method)(*given) if method in METHODS else None
                pipe.send({} if answer is None else answer)
            except Exception as error:
                pipe.send({"failed": (failures.classify(error), failures.describe(error))})
    except (EOFError, BrokenPipeError):
        pass
    except Exception as error:
        pipe.send({"failed": (failures.classify(error), failures.describe(error))})
