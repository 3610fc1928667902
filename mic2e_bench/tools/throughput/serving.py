"""A pipeline that answers calls in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import failures, forkserver
from mic2e_bench.tools.throughput.pipeline import Pipeline


class Server:
    """A child process with a ``Pipeline``; the parent asks, and waits on ``pipe``."""

    def __init__(self, trial: Trial, log: Path, others: Sequence[Trial] = (), is_fresh: bool = False) -> None:
        """Start it; ``ready`` waits until it can be asked. ``others`` as of ``Pipeline``, ``is_fresh``: spawned."""
        self.timeout_s, self.started = trial.protocol["timeout_s"], time.perf_counter()
        how = {"policy": wait_policy.of(trial.settings), "is_fresh": is_fresh}
        self.process, self.pipe = forkserver.call(_serve, log, trial, list(others), **how)

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


METHODS = ("call", "be", "warm_up", "receipts", "pictures")


def _serve(trial: Trial, others: list[Trial], pipe: Connection) -> None:
    """The child: load, warm up, answer until the parent hangs up."""
    from mic2e_bench.run import preload  # noqa: F401 (forked, it is there; spawned, it is imported as the server does)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
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
