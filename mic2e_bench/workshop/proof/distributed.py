"""Does a cluster leave what one machine leaves? ``python -m mic2e_bench.workshop.proof.distributed``

A study of 64 trials in 16 builds of the bundled ObjectClear, by the local runner and by two workers on Ray, of which
one is killed while it works: the same identities, statuses and image hashes, and no trial twice. Then the dry run of
100,000 trials: seconds and memory of its process. Exits with 1 where anything differs or a limit is passed.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from mic2e_bench import api, documents
from mic2e_bench.plan.params import Study
from mic2e_bench.records import record
from mic2e_bench.records.record import Record
from mic2e_bench.tools.distribute.ray import Executor
from mic2e_bench.units import MIB, digits
from mic2e_bench.workshop import proof

VARY = {"precision": ["fp32", "bf16"], "channels_last": ["none", "vae"], "attention": ["native", "math"],
        "fused_qkv": [False, True], "steps": [1, 2], "guidance": [1.0, 2.0]}  # fmt: skip
KILLED_AFTER = 8  # records
FILES, PER_FILE = 20, 5_000
MOST_S, MOST_MIB = 60, 500


def main() -> int:
    """Print what both runners left, and what the dry run took."""
    study = api.study(
        {
            "study": "sixty",
            "pipeline": "objectclear",
            "inputs": proof.ONE_INPUT,
            "baseline": {"resolution": 64, "threads": 1},
            "vary": VARY,
            "protocol": {"warmup": 0, "repeats": 1},
            "metrics": [],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        local, spread = Path(folder) / "local", Path(folder) / "spread"
        api.run(study, results=local)
        killed = threading.Thread(target=_kill_one, args=(spread / study.name,), daemon=True)
        killed.start()
        done = api.run(study, results=spread, executor=Executor(workers=2))
        mine, its = left(study, local), left(study, spread)
        seconds, held = dry_run(Path(folder))
    workers = {one.environment["worker"]["pid"] for one in done.records.values()}
    differing = sum(mine.get(id) != its.get(id) for id in {**mine, **its})
    rows = [
        ("trials", f"{len(study.trials)} in {len({trial.build_key for trial in study.trials})} builds"),
        ("records by the local runner, by two workers", f"{len(mine)}, {len(its)}"),
        ("identities, statuses or image hashes that differ", str(differing)),
        (
            "measured by the workers, of which there were with the one that was killed",
            f"{done.measured}, {len(workers)}",
        ),
        (f"dry run of {FILES * PER_FILE:,} trials: seconds (limit {MOST_S})", digits(seconds)),
        (f"its peak memory in MiB (limit {MOST_MIB})", digits(held)),
    ]
    about = f"Bundled ObjectClear, 64 px. A worker is killed (SIGKILL) when {KILLED_AFTER} records are there."
    print(proof.section("Studies on a cluster", about, ("what", "measured"), rows))
    same = len(mine) == len(its) == done.measured == len(study.trials) and not differing
    return int(not same or len(workers) < 3 or seconds > MOST_S or held > MOST_MIB)


def left(study: Study, results: Path) -> dict[str, tuple[str, list[str]]]:
    """What a runner left: of each record its status and the hashes of its images."""
    found = {path.stem: record.read(path) for path in record.paths(results / study.name)}
    return {id: (one.status, hashes(one)) for id, one in found.items()}


def hashes(one: Record) -> list[str]:
    return [picture["sha256"] for picture in one.pictures]


def _kill_one(folder: Path) -> None:
    """Kill the worker that wrote the last record, as soon as there are enough."""
    while len(paths := record.paths(folder)) < KILLED_AFTER:
        time.sleep(0.2)
    newest = max(paths, key=lambda path: path.stat().st_mtime)
    os.kill(record.read(newest).environment["worker"]["pid"], signal.SIGKILL)


def dry_run(folder: Path) -> tuple[float, float]:
    """Seconds and MiB of the command that plans a hundred thousand trials."""
    files = []
    for number in range(FILES):
        vary = {"steps": list(range(1, 51)), "guidance": [1 + step / 10 for step in range(PER_FILE // 50)]}
        content = {"study": f"s{number}", "pipeline": "objectclear", "baseline": {"threads": number + 1}, "vary": vary}
        files.append(folder / f"{number}.yaml")
        files[-1].write_text(documents.as_yaml(content))
    command = [sys.executable, "-m", "mic2e_bench", "run", "--dry-run", *map(str, files), "--results", str(folder)]
    start, held = time.perf_counter(), 0
    with open(os.devnull, "w") as nowhere, psutil.Popen(command, stdout=nowhere) as process:
        while process.poll() is None:
            held = max(held, process.memory_info().rss)
            time.sleep(0.05)
    return time.perf_counter() - start, held / MIB


if __name__ == "__main__":
    proof.start(main, __doc__)
