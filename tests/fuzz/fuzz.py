"""``make fuzz``: damaged inputs of every kind for ``FUZZ_SECONDS`` (default 600), in long-lived processes.

An answer is good with exit code 0 or 2 (1 and 3 where a command has them), at most six lines where the input is bad, no
traceback, nothing written outside of the results or left half-written, within 20 s and 2 GiB. What is answered badly is
kept in ``.fuzz/``, a file each; ``python tests/fuzz/fuzz.py FILE ...`` gives it again.
"""

import hashlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import damage
import judge
import world
from hypothesis import HealthCheck, Phase, given, seed, settings

KEPT = Path(".fuzz")
ADDRESSES = 6 << 30  # more than 2 GiB are never needed; libraries reserve what they do not use
ROUND = 100  # inputs of one kind, then the next kind


def some(strategy, number: int) -> list:
    """``ROUND`` examples, for each number others."""
    found = []

    @seed(number)
    @settings(max_examples=ROUND, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def collect(case):
        found.append(case)

    collect()
    return found


def work(number: int, seconds: float, kept: Path, told) -> None:
    """One process: rounds over the kinds until the time is up. It says what it is about to try, and what was wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    end, rounds = time.monotonic() + seconds, 0
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="mic2e-bench-fuzz-", dir=place) as name:
        cases = damage.cases(world.build(Path(name)))
        while time.monotonic() < end:
            for kind, strategy in cases.items():
                for case in some(strategy, number * 1_000_003 + rounds):
                    if time.monotonic() > end:
                        break
                    (kept / f"now-{number}.json").write_text(case.stored())  # what a killed process leaves
                    told.send((kind, judge.judge(case, Path(name), judge.SECONDS), case.stored()))
            rounds += 1
    (kept / f"now-{number}.json").unlink(missing_ok=True)


def main(seconds: float, kept: Path) -> int:
    """Try inputs in a process for each core; print how many were tried and which were answered badly."""
    kept.mkdir(exist_ok=True)
    tried, bad = Counter(), {}
    context = multiprocessing.get_context("spawn")
    first, pipes, end = int(os.environ.get("FUZZ_SEED", time.time())), {}, time.monotonic() + seconds

    def start(number: int) -> None:
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(number, end - time.monotonic(), kept, sending), daemon=True)
        process.start()
        sending.close()
        pipes[receiving] = process, number

    for index in range(os.cpu_count() or 1):
        start(first + index)
    while pipes:
        for pipe in multiprocessing.connection.wait(list(pipes)):
            try:
                kind, problem, case = pipe.recv()
            except EOFError:
                process, number = pipes.pop(pipe)
                process.join()
                if process.exitcode:  # what it was about to try has ended it
                    last = kept / f"now-{number}.json"
                    if not last.exists():
                        raise SystemExit(f"a process ended with {process.exitcode} before it tried anything") from None
                    _keep(last.read_text(), f"the process ended with {process.exitcode}", kept, bad)
                    last.unlink()
                    if time.monotonic() < end:
                        start(number + 1000)
                continue
            tried[kind] += 1
            if problem:
                _keep(case, problem, kept, bad)
    for kind, count in tried.items():
        print(f"{kind}: {count} tried, {sum(key[0] == kind for key in bad)} answered badly")
    for (kind, _), (problem, path, count) in bad.items():
        print(f"\n{kind}, {count} times: {problem.strip()[-300:]}\n  again: python tests/fuzz/fuzz.py {path}")
    return int(bool(bad))


def _keep(case: str, problem: str, kept: Path, bad: dict) -> None:
    """Store the first case of a problem; the same place in the code, or the same words, is the same problem."""
    lines = problem.strip().splitlines()
    place = [line for line in lines if line.lstrip().startswith("File ")][-1:] or [lines[0][:60]]
    key = json.loads(case).get("kind", "?"), place[0]
    if key in bad:
        bad[key][2] += 1
        return
    path = kept / f"{key[0]}-{hashlib.sha256(case.encode()).hexdigest()[:8]}.json"
    path.write_text(case)
    bad[key] = [problem, path, 1]


def again(path: str) -> bool:
    """Give a kept input to the command line once more; whether it is answered well now."""
    with tempfile.TemporaryDirectory(prefix="mic2e-bench-fuzz-") as name:
        world.build(Path(name))
        problem = judge.judge(world.Case.read(Path(path)), Path(name), judge.SECONDS)
    print(f"{path}: {problem or 'answered well'}")
    return not problem


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(0 if all([again(path) for path in sys.argv[1:]]) else 1)
    sys.exit(main(float(os.environ.get("FUZZ_SECONDS", "600")), KEPT.resolve()))
