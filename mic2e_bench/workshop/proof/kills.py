"""Kill a run at moments drawn at random, run it again, and see that nothing was lost and nothing measured twice.

``python -m mic2e_bench.workshop.proof.kills [KILLS]`` kills the runner or its worker (30 times by default, SIGKILL,
each in a fresh folder), resumes, and compares with an undisturbed run; then it interrupts some runs with Ctrl-C. It
prints Markdown for BENCHMARKS.md, and exits with 1 where anything was lost. The runs share one fork server: its
import of the libraries is no part of what is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import forkserver, get_context
from pathlib import Path
from typing import Any

import psutil

from mic2e_bench.plan import params
from mic2e_bench.plan.params import Study
from mic2e_bench.records import record
from mic2e_bench.records.comparable import is_measured
from mic2e_bench.run import forkserver as run_forkserver
from mic2e_bench.run import runner
from mic2e_bench.tools import verify
from mic2e_bench.workshop import proof

KILLS, INTERRUPTS, LIMIT_S = 30, 5, 1.0
CONTENT: dict[str, Any] = {
    "study": "kills",
    "pipeline": "objectclear",
    "inputs": proof.ONE_INPUT,
    "baseline": {"steps": 1, "resolution": 64, "guidance": 1.0, "threads": 1},
    "vary": {"attention": ["native", "math"], "steps": [1, 2, 3]},
    "protocol": {"warmup": 0, "repeats": 2, "seeds": [42]},
    "metrics": [],
}


@dataclass
class Quiet:
    """An undisturbed run: how long it took, and what is the same in every run."""

    seconds: float
    table: dict[str, Any]


@dataclass
class KilledRun:
    """One killed and resumed run. ``ended_s``: from the signal to the runner's end."""

    killed: str
    signal: int
    share: float  # of an undisturbed run's time, at which the signal came
    before: int = 0  # trials that were measured before the resume
    ended_s: float = 0.0
    problems: list[str] = field(default_factory=list)


def study() -> Study:
    return params.resolve_study(CONTENT)


def undisturbed(results: Path) -> Quiet:
    """Run the study to its end, in a process of its own as the others are."""
    run_forkserver.start()
    start = time.perf_counter()
    with running(results) as process:
        process.join()
    return Quiet(time.perf_counter() - start, table(results))


def table(results: Path) -> dict[str, Any]:
    """What every run of the study gives alike, by label: all but times, resident bytes and the environment."""
    found = {}
    for path in record.paths(results / str(CONTENT["study"])):
        one = record.read(path)
        same = {part: one.raw[part] for part in ("id", "trial", "status", "reason", "receipts", "images")}
        found[one.label] = {**same, "weights_bytes": one.memory["weights_bytes"]}
    return found


def kill_and_resume(results: Path, seed: int, quiet: Quiet, target: str = "") -> KilledRun:
    """Kill at a moment drawn from ``seed``, run again, and look for losses. ``target``: Ctrl-C instead of a kill."""
    drawn = random.Random(seed)
    killed = target or drawn.choice(("runner", "worker"))
    outcome = KilledRun(killed, signal.SIGINT if target else signal.SIGKILL, drawn.uniform(0.02, 0.95))
    with running(results) as process:
        process.join(outcome.share * quiet.seconds)
        start = time.perf_counter()
        with contextlib.suppress(ProcessLookupError):
            os.kill(_worker(process) if killed == "worker" else process.pid, outcome.signal)
        process.join()
        outcome.ended_s = time.perf_counter() - start
    old = _measured(results)
    outcome.before = len(old)
    summary = runner.run([study()], results)
    outcome.problems += _losses(results, old, summary, quiet)
    return outcome


def _as_measured(content: bytes) -> dict[str, Any]:
    """A record without what a later visit of the baseline adds to it."""
    found = json.loads(content)
    found["timing"].pop("visits", None)
    return {name: value for name, value in found.items() if name != "content_sha256"}


def _losses(results: Path, old: dict[str, bytes], summary: runner.Summary, quiet: Quiet) -> list[str]:
    """What is not as after an undisturbed run."""
    new, count = _measured(results), len(study().trials)
    problems = list(verify.studies(results).problems)
    if len(new) != count:
        problems.append(f"{len(new)} of {count} trials are measured")
    if summary.measured + len(old) != count:
        problems.append(f"{len(old)} trials were measured before and {summary.measured} after, of {count}")
    problems += [
        f"{name} was measured twice"
        for name in old
        if name not in new or _as_measured(new[name]) != _as_measured(old[name])
    ]
    problems += [f"{label} is not as undisturbed" for label, row in table(results).items() if row != quiet.table[label]]
    return problems


def _measured(results: Path) -> dict[str, bytes]:
    """The records of measured trials, by file name."""
    paths = record.paths(results / str(CONTENT["study"]))
    return {path.name: path.read_bytes() for path in paths if is_measured(record.read(path))}


@contextlib.contextmanager
def running(results: Path) -> Iterator[Any]:
    """A runner in a process of its own, which shares this one's fork server so that it starts at once."""
    run_forkserver.context()
    server = forkserver.ForkServer
    server.ensure_running, before = lambda self: None, server.ensure_running
    try:
        process = get_context("fork").Process(target=_run, args=(results,))
        process.start()
    finally:
        server.ensure_running = before
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _run(results: Path) -> None:
    """The runner's process; what it prints is not shown."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        runner.run([study()], results)
    except KeyboardInterrupt:
        os._exit(130)
    os._exit(0)


def _worker(process: Any) -> int:
    """The id of the runner's worker, as soon as there is one; the runner's own where it ended before."""
    own = psutil.Process(forkserver._forkserver._forkserver_pid)
    while process.is_alive():
        if workers := [one.pid for one in own.children() if one.status() != psutil.STATUS_ZOMBIE]:
            return workers[-1]
        time.sleep(0.001)
    return process.pid


def main(kills: int = KILLS) -> int:
    """Kill, resume, compare; print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        quiet = undisturbed(Path(folder) / "quiet")
        outcomes = []
        for seed in range(kills + INTERRUPTS):
            target = "" if seed < kills else "runner"
            outcomes.append(kill_and_resume(Path(folder) / str(seed), seed, quiet, target))
            print(f"{seed + 1}/{kills + INTERRUPTS}: {outcomes[-1]}", file=sys.stderr)
    killed = [one for one in outcomes if one.signal == signal.SIGKILL]
    stopped = [one.ended_s for one in outcomes if one.signal == signal.SIGINT]
    count = len(study().trials)
    before = [one.before for one in killed]
    lost = [problem for one in outcomes for problem in one.problems]
    rows = [
        ("kills of the runner", sum(one.killed == "runner" for one in killed)),
        ("kills of the worker", sum(one.killed == "worker" for one in killed)),
        ("trials measured before the resume", f"{min(before)} to {max(before)} of {count}"),
        ("trials lost, measured twice, damaged or different", len(lost) or "none"),
        ("Ctrl-C until the end, slowest", f"{max(stopped):.2f} s of {LIMIT_S} s allowed" if stopped else "not tried"),
    ]
    about = (
        f"{count} trials in 2 builds ({quiet.seconds:.1f} s undisturbed), killed at moments drawn at random (seeded) "
        f"and run again; {proof.place()}."
    )
    print(proof.section("Killed and resumed", about, ("", ""), rows))
    print("".join(f"\n- {problem}" for problem in lost))
    return int(bool(lost) or max(stopped, default=0) > LIMIT_S)


if __name__ == "__main__":
    proof.start(main, __doc__, kills=KILLS)
