"""One round of one side: ``mic2e-bench run`` in that side's own process and environment.

Each round has a fresh process, though that imports the libraries again: what a process draws when it starts (where its
code and memory lie) moves its speed by some percent, and would count as a change between two that stay.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mic2e_bench import files
from mic2e_bench.machine import tied
from mic2e_bench.plan.params import Study
from mic2e_bench.records import record
from mic2e_bench.records.record import Record

DONE, LOG = "done.json", "run.log"
ENDS_S = 20.0  # that a round has after Ctrl-C, which it gets as well
OURS = ("PYTHON", "MIC2E_BENCH_")  # variables that are this process's own begin so
NOT_PASSED = ("VIRTUAL_ENV", "CONDA_PREFIX")


class DidNotRun(Exception):
    """A round without a record: the harness itself did not start or ended early. With its last words."""


@dataclass(frozen=True)
class Side:
    """What is measured: the interpreter, and the folders that it imports from before its own."""

    python: Path
    path: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What is measured on every side."""

    study: Study
    params: Path
    changes: tuple[str, ...]  # key=value

    def measure(self, side: Side, folder: Path, is_first: bool) -> float:
        """Measure one round into a folder, or what a killed one left to do; returns seconds. Raises ``DidNotRun``.

        Pictures are scored in the first round alone: they say the same in each.
        """
        folder.mkdir(parents=True, exist_ok=True)
        sets = [*self.changes, *([] if is_first else ["metrics=[]"])]
        words = ["run", str(self.params), "--results", str(folder), *(w for each in sets for w in ("--set", each))]
        # -P: the working folder, which params files may name inputs in, may be a checkout of another harness
        command = [str(side.python), "-P", tied.__file__, str(os.getpid()), "mic2e_bench", *words]
        start = time.monotonic()
        with (folder / LOG).open("wb") as log:
            code = _ended(command, side, log)
        if code or not records(folder, self.study):
            raise DidNotRun(_last_line(folder / LOG) or f"it ended with {code}")
        seconds = time.monotonic() - start
        files.write_whole(folder / DONE, json.dumps({"seconds": seconds}).encode())
        return seconds


def _ended(command: Sequence[str], side: Side, log) -> int:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=surroundings(side))
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def surroundings(side: Side) -> dict[str, str]:
    """The variables of a side's process: none by which it would find another's packages."""
    left = {k: v for k, v in os.environ.items() if not k.startswith(OURS) and k not in NOT_PASSED}
    first = {"PYTHONPATH": os.pathsep.join(map(str, side.path))} if side.path else {}
    path = os.pathsep.join([str(side.python.parent), left.get("PATH", os.defpath)])
    return {**left, **first, "PATH": path, "PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}


def records(folder: Path, study: Study) -> list[Record]:
    """What a round left."""
    return [record.read(path) for path in record.paths(folder / study.name)]


def seconds(folder: Path) -> float | None:
    """What a round took; ``None`` where it is not done."""
    try:
        return float(files.read_json(folder / DONE)["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in files.last_words(log).splitlines() if line.strip()]
    return lines[-1].removeprefix("mic2e-bench: ") if lines else ""
