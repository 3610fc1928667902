"""Are the bytes right? ``python -m mic2e_bench.workshop.proof.memory``

A block that touches a known number of bytes against what the probe reports of it; the bytes of weights against the sum
over parameters and buffers; a child's peak resident set against the kernel's own account of the same child (what
``/usr/bin/time -v`` prints: ``ru_maxrss`` of ``wait4``). Exits with 1 where a limit is missed.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from mic2e_bench import api
from mic2e_bench.catalog import registry
from mic2e_bench.machine import probes
from mic2e_bench.run import assemble
from mic2e_bench.units import MIB
from mic2e_bench.workshop import proof

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
    return int(any(abs(seen / true - 1) > limit for _, true, seen, limit in rows))


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
