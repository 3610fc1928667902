"""Does `bisect` name the package that made a study slower, and nothing where none did? With wheels changed on purpose.

``python -m mic2e_bench.workshop.proof.bisect [--case NAME] [--share 0.2]`` compares this repository's lock with one in
which three packages are other builds of the same: all harmless (``same``), diffusers 20 % slower (``slow``), or 60 %
slower, but only beside the other filelock (``together``). ``killed`` is ``slow``, killed (SIGKILL, the whole process
group) among its rounds, and then run again. The environments are real ones of uv, with all packages.
Prints Markdown for BENCHMARKS.md; exits with 1 where an answer is not as it must be. About an hour on a quiet machine;
on a busy one a larger ``--share``, of which a quarter is the threshold, still tells whether it finds what it must.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mic2e_bench import files, paths
from mic2e_bench.machine import versions
from mic2e_bench.tools.pack import tree
from mic2e_bench.workshop import proof
from mic2e_bench.workshop.command import one_line, parser

CHANGED = ("diffusers", "filelock", "tqdm")
MOST_STEPS = 3  # for one of three
MOST_ROUNDS = 32  # that nothing is slower by a quarter of 20 % takes 20 to 30 rounds on a shared machine
KILLED_AFTER = 5  # rounds of one side that are done when the kill comes, and
KILLED_S = 7.0  # seconds later: in the middle of the next
STUDY = {
    "study": "bisect",
    "pipeline": "flux-schnell",
    "model": "bundled",
    "inputs": proof.ONE_INPUT,
    "baseline": {"steps": 2, "resolution": 128, "threads": 1},
    "protocol": {"warmup": 1, "repeats": 101, "seeds": [42]},
    "metrics": ["lpips"],
}
SLOW = """

def _slow(call):
    import functools, time

    @functools.wraps(call)
    def slowed(*given, **named):
        start = time.perf_counter()
        made = call(*given, **named)
        end = time.perf_counter() + SHARE * (time.perf_counter() - start)
        while time.perf_counter() < end:
            pass
        return made

    return slowed


import filelock

if CONDITION:
    FluxPipeline.__call__ = _slow(FluxPipeline.__call__)
"""
PIPELINE = "diffusers/pipelines/flux/pipeline_flux.py"
BESIDE = 'hasattr(filelock, "BESIDE_DIFFUSERS")'
PATCHES: dict[str, dict[str, tuple[str, str]]] = {  # by case and package: a file, and what is added at its end
    "same": {},
    "slow": {"diffusers": (PIPELINE, SLOW.replace("CONDITION", "True"))},
    "together": {
        "diffusers": (PIPELINE, SLOW.replace("CONDITION", BESIDE)),
        "filelock": ("filelock/__init__.py", "\nBESIDE_DIFFUSERS = True\n"),
    },
}
CASES = {"slow": "slow", "same": "same", "together": "together", "killed": "slow"}  # and their patches
TIMES = {"together": 3.0}  # of the share: its steps have to tell that each by itself makes nothing slower
EXPECTED = {
    "slow": ("culprit", {"diffusers"}),
    "same": ("none", set()),
    "together": ("together", {"diffusers", "filelock"}),
    "killed": ("culprit", {"diffusers"}),
}


@dataclass
class Case:
    """One bisection: its answer, the wall time, and what was not as it must be."""

    name: str
    answer: dict[str, Any]
    seconds: float
    problems: list[str]


def main(arguments: list[str] | None = None) -> int:
    """Run the cases; print what they answered."""
    read = parser(__doc__)
    read.add_argument("--case", choices=[*CASES], action="append", help="one of them (default: all)")
    read.add_argument("--share", type=float, default=0.2, help="by which a call of what is slow takes longer (0.2)")
    options = read.parse_args(arguments)
    cases = []
    paths.cache().mkdir(parents=True, exist_ok=True)  # beside uv's cache, as a rule: on its file system
    with tempfile.TemporaryDirectory(prefix="bisect-proof-", dir=paths.cache()) as folder:
        for name in options.case or CASES:
            cases.append(run(name, Path(folder) / name, options.share))
            print(f"{name}: {cases[-1].seconds:.0f} s, {cases[-1].answer}", file=sys.stderr, flush=True)
    print(report(cases, options.share))
    return int(any(case.problems for case in cases))


def run(name: str, folder: Path, share: float) -> Case:
    """One case, in a folder of its own."""
    good, share = tree.root() / versions.FILE, share * TIMES.get(name, 1.0)
    bad = changed_lock(good, PATCHES[CASES[name]], folder, share)
    params = folder / "bisect.yaml"
    params.write_text(json.dumps(STUDY))  # JSON is YAML
    places = ["--results", folder / "results", "--work", folder / "work", "--json", folder / "answer.json"]
    command = [sys.executable, "-m", "mic2e_bench", "bisect", params, "--good", good, "--bad", bad, *places]
    command += ["--most-rounds", str(MOST_ROUNDS)]
    command += ["--fail-on", f"latency>{25 * share:g}%", "--fail-on", "memory>5%", "--fail-on", "quality<-1%"]
    start = time.monotonic()
    problems = kill(command, folder) if name == "killed" else []
    done = subprocess.run(command, stdout=sys.stderr)
    seconds = time.monotonic() - start
    if done.returncode not in (0, 1, 3):
        return Case(name, {"said": "it failed"}, seconds, [f"exit code {done.returncode}"])
    answer = files.read_json(folder / "answer.json")
    return Case(name, answer, seconds, [*problems, *wrong(name, answer, folder)])


def wrong(name: str, answer: dict[str, Any], folder: Path) -> list[str]:
    """What is not as it must be."""
    word, packages = EXPECTED[name]
    named = {what.split()[0] for culprit in answer["culprits"] for what in culprit["what"]}
    problems = [] if (answer["answer"], named) == (word, packages) else [f"answered {answer['said']}"]
    if word == "culprit" and len(answer["steps"]) - 1 > MOST_STEPS:
        problems.append(f"{len(answer['steps']) - 1} steps")
    return problems + ([f"left behind: {folder / 'work'}"] if (folder / "work").exists() else [])


def kill(command: list[Any], folder: Path) -> list[str]:
    """Start it and kill it with all its children in the middle of a round."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while len(list((folder / "results").rglob("done.json"))) < KILLED_AFTER and process.poll() is None:
        time.sleep(0.5)
    time.sleep(KILLED_S)
    if process.poll() is not None:
        return ["it ended before it could be killed"]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return []


def changed_lock(lock: Path, patches: dict[str, tuple[str, str]], folder: Path, share: float) -> Path:
    """The same lock with wheels of our own for the three packages; what is slow takes longer by this ``share``."""
    text = lock.read_text()
    pins = {pin.name: pin for pin in versions.pins(text)}
    for name in CHANGED:
        file, added = patches.get(name, ("", ""))
        made = rebuilt(name, folder / "wheels", file, added.replace("SHARE", f"{share:g}"))
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        text = text.replace(pins[name].text, f"{name} @ {made.as_uri()} --hash=sha256:{digest}")
    path = folder / "bad.lock"
    path.write_text(text)
    return path


def rebuilt(name: str, folder: Path, patched: str = "", added: str = "") -> Path:
    """A wheel of the installed package, as version ``...+rebuilt``; ``added`` at the end of the file ``patched``."""
    folder.mkdir(parents=True, exist_ok=True)
    one = metadata.distribution(name)
    version = f"{one.version.partition('+')[0]}+rebuilt"
    info, new = f"{name}-{one.version}.dist-info", f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        names = []
        for file in one.files:
            inside = file.as_posix()
            if inside.startswith("..") or file.suffix == ".pyc" or file.name in ("RECORD", "INSTALLER", "REQUESTED"):
                continue
            content = file.locate().read_bytes()
            if inside == f"{info}/METADATA":
                content = content.replace(f"\nVersion: {one.version}\n".encode(), f"\nVersion: {version}\n".encode())
            if inside == patched:
                content += added.encode()
            names.append(inside.replace(info, new))
            wheel.writestr(names[-1], content)
        wheel.writestr(f"{new}/RECORD", "".join(f"{each},,\n" for each in [*names, f"{new}/RECORD"]))
    return path


def report(cases: list[Case], share: float) -> str:
    """The figures as a Markdown section."""
    about = (
        f"This repository's lock against one with other builds of {', '.join(CHANGED)}; {STUDY['pipeline']} "
        f"(bundled) at 128 px, one trial, {STUDY['protocol']['repeats']} calls in a fresh process a round, in whole "
        f"environments of uv; {proof.place()}."
    )
    rows = []
    for case in cases:
        steps, rounds = len(case.answer.get("steps", [None])) - 1, case.answer.get("rounds", 0)
        pairs = f"{case.seconds / 60:.0f} min", steps, rounds
        slower = f"{share * TIMES.get(case.name, 1.0):.0%}" if PATCHES[CASES[case.name]] else "none"
        rows.append((case.name, slower, case.answer["said"], *pairs, "; ".join(case.problems) or "as it must be"))
    header = ("case", "made slower by", "answer", "wall time", "steps", "rounds of both", "")
    return proof.section("Which package made it slower", about, header, rows)


if __name__ == "__main__":
    sys.exit(one_line(main)())
