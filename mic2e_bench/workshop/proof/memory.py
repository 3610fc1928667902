"""Are the bytes right? ``python -m mic2e_bench.workshop.proof.memory``

A block that touches a known number of bytes against what the probe reports of it; the bytes of weights against the sum
over parameters and buffers; a child's peak resident set against the kernel's own account of the same child (what
``/usr/bin/time -v`` prints: ``ru_maxrss`` of ``wait4``). Then the peaks of four trials in all orders, against those of
each trial measured alone. Exits with 1 where a limit is missed.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mic2e_bench import api
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metrics.memory import above_loaded
from mic2e_bench.machine import probes
from mic2e_bench.records.comparable import RSS, memory_noise
from mic2e_bench.records.record import Record
from mic2e_bench.run import assemble, runner
from mic2e_bench.units import MIB
from mic2e_bench.workshop import proof

STEPS = 2
TRIALS = {
    "512 px": {"resolution": 512},
    "448 px": {"resolution": 448},
    "256 px": {"resolution": 256},
    "256 px, guidance 1.0": {"resolution": 256, "guidance": 1.0},
}
MOST_OUTSIDE = 0.1
CHILD = """
import numpy as np
from mic2e_bench.machine import probes
with probes.memory("cpu") as peaks:
    kept = np.ones({count}, dtype=np.uint8)
print(peaks.rss_bytes)
"""


def main() -> int:
    """Print what was reported beside what was true, with the limits."""
    rows = [*known_allocations(), *weights(), *against_the_kernel()]
    cells = [
        (name, f"{true / MIB:.2f} MiB", f"{seen / MIB:.2f} MiB", f"{seen / true - 1:+.3%}", f"{limit:.0%}")
        for name, true, seen, limit in rows
    ]
    about = "What is known otherwise, and what the probes report of it."
    print(proof.section("Memory", about, ("what", "true", "reported", "difference", "limit"), cells))
    missed = any(abs(seen / true - 1) > limit for _, true, seen, limit in rows)
    return int(any_order() or missed)


def any_order() -> bool:
    """Print how far the peaks of trials differ in all orders from those of each alone; whether too many do."""
    orders = [*((one,) for one in TRIALS), *itertools.permutations(TRIALS)]
    with tempfile.TemporaryDirectory() as folder:
        found = [_records(Path(folder), order) for order in orders]
    rows, outside, compared = [], 0, 0
    for name in TRIALS:
        (alone, *_), *others = ([each[name]] for each in found if name in each)
        reference = alone.memory[RSS]
        apart = [abs(one.memory[RSS] - reference) for (one,) in others]
        noises = [max(map(memory_noise, (one, alone))) for (one,) in others]
        beyond = sum(far > noise for far, noise in zip(apart, noises, strict=True))
        outside, compared = outside + beyond, compared + len(others)
        cells = (name, reference, above_loaded(alone), max(apart), statistics.median(noises))
        rows.append((cells[0], *(f"{value / MIB:.1f} MiB" for value in cells[1:]), f"{beyond} of {len(others)}"))
    about = (
        f"The bundled objectclear model, {STEPS} steps: the peak of each trial alone, in a build of its own, and of the"
        f" same trial in each of the {len(orders) - len(TRIALS)} orders of all. Limit: {MOST_OUTSIDE:.0%} of the"
        " differences beyond the noise that the studies' own repeats show, which is to hold 95 % of them."
    )
    header = ("trial", "peak alone", "above loaded", "greatest difference", "median noise", "beyond the noise")
    print("\n" + proof.section("Peaks in any order", about, header, rows))
    return outside > MOST_OUTSIDE * compared


def _records(results: Path, order: tuple[str, ...]) -> dict[str, Record]:
    """The records of these trials, measured in this order."""
    first, *others = ({"steps": STEPS, "guidance": 2.5, **TRIALS[name]} for name in order)
    content = {
        "study": "-".join(map(str, map(list(TRIALS).index, order))),
        "pipeline": "objectclear",
        "baseline": first,
    }
    protocol = {"warmup": 0, "repeats": 2, "seeds": [42]}
    content |= {"trials": others} if others else {}
    study = api.study({**content, "inputs": proof.ONE_INPUT, "protocol": protocol})
    records = runner.run([study], results).records
    return {name: records[trial.id] for name, trial in zip(order, study.trials, strict=True)}


def known_allocations() -> list[tuple[str, float, float, float]]:
    """Blocks of 64, 256 and 1024 MiB, touched and freed again; what was resident before is subtracted."""
    found = []
    for size in (64, 256, 1024):
        with probes.memory("cpu") as peaks:
            block = np.ones(size * MIB, dtype=np.uint8)
            del block
        found.append((f"a block of {size} MiB", size * MIB, peaks.rss_bytes - peaks.rss_before_bytes, 0.01))
    return found


def weights() -> list[tuple[str, float, float, float]]:
    """Weights of every bundled pipeline in two precisions; exact, so the limit is none at all."""
    found = []
    for name in registry.pipelines():
        for precision in ("fp32", "bf16"):
            study = api.study({"pipeline": name, "baseline": {"precision": precision}})
            build, load = assemble.make_build(study.baseline)
            modules = build.modules().values()
            tensors = {id(one): one for module in modules for one in (*module.parameters(), *module.buffers())}
            true = sum(one.numel() * one.element_size() for one in tensors.values())
            found.append((f"weights of {name} in {precision}", true, load["memory"]["weights_bytes"], 0.0))
    return found


def against_the_kernel() -> list[tuple[str, float, float, float]]:
    """A child that peaks at 512 MiB and more, by its own account and by the kernel's after it ended."""
    process = subprocess.Popen([sys.executable, "-c", CHILD.format(count=512 * MIB)], stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    return [("peak resident set of a child, by the kernel", usage.ru_maxrss * 1024, float(printed), 0.05)]


if __name__ == "__main__":
    proof.start(main, __doc__)
