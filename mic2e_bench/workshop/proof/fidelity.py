"""Does a record say what a script of one's own would find? ``python -m mic2e_bench.workshop.proof.fidelity [BUILDS]``

In each of several rounds every pipeline is built twice, each time in fresh processes: measured by the harness, as a
study is, and by ``bare_loop.py``, which uses diffusers alone; which of them comes first changes from round to round.
Both have the same weights, settings and threads, and must make the same picture. A build counts by the median of its
calls, and the ratio's interval is that of ``statistics.paired`` over builds. Exits with 1 where all of an interval is
outside 1.00 ± 0.02, or a picture differs.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics as of_samples
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from mic2e_bench import api, paths, statistics
from mic2e_bench.plan import inputs
from mic2e_bench.plan.params import Study
from mic2e_bench.run import runner
from mic2e_bench.workshop import proof
from mic2e_bench.workshop.proof import bare_loop

LIMIT, BUILDS = 0.02, 8
SIZE, SEED, WARMUP, REPEATS, THREADS = 192, 42, 2, 9, 1
# the pipelines that are classes of diffusers, and what a bare call of each is given
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "flux-schnell": ("FluxPipeline", {"num_inference_steps": 4, "guidance_scale": 0.0, "max_sequence_length": 256}),
    "sdxl-inpaint": ("StableDiffusionXLInpaintPipeline", {"num_inference_steps": 4, "guidance_scale": 5.0}),
    "z-image-turbo": ("ZImagePipeline", {"num_inference_steps": 4, "guidance_scale": 0.0}),
}
Found = dict[str, tuple[float, str]]  # by pipeline: the median of its calls in seconds, and its picture's hash


def main(builds: int = BUILDS) -> int:
    """Print a row for each pipeline: the two medians, their ratio with its interval, and whether the pictures agree."""
    studies = [study(name) for name in CALLS]
    rounds = []
    for number in range(builds):
        sides = {}
        for side in (harness, bare) if number % 2 else (bare, harness):
            sides[side] = side(studies)
        rounds.append((sides[harness], sides[bare]))
    rows, missed = [], False
    for name in CALLS:
        logs = [math.log(mine[name][0] / theirs[name][0]) for mine, theirs in rounds]
        centre, ends = statistics.paired(logs)
        same = len({side[name][1] for pair in rounds for side in pair}) == 1
        outside = ends is not None and (math.exp(ends[0]) > 1 + LIMIT or math.exp(ends[1]) < 1 - LIMIT)
        missed |= outside or not same
        interval = f"[{math.exp(ends[0]):.3f}, {math.exp(ends[1]):.3f}]" if ends else "(too few builds for an interval)"
        medians = (f"{of_samples.median(pair[side][name][0] for pair in rounds):.4f} s" for side in (0, 1))
        rows.append((name, *medians, f"{math.exp(centre):.3f} {interval}", "the same" if same else "DIFFERENT"))
    about = (
        f"{builds} builds each by the harness and by a script of diffusers alone, in turns, each in a fresh process; "
        f"{REPEATS} calls a build, {SIZE} px, {THREADS} thread, bundled models; {proof.place()}. Limit: the interval "
        f"touches 1.00 ± {LIMIT}, and the pictures are the same."
    )
    print(proof.section("Fidelity", about, ("pipeline", "harness", "bare script", "ratio [95 %]", "picture"), rows))
    return int(missed)


def study(name: str) -> Study:
    """One trial, as a params file would have it."""
    _, arguments = CALLS[name]
    baseline = {"steps": arguments["num_inference_steps"], "guidance": arguments["guidance_scale"]}
    return api.study(
        {
            "study": f"fidelity-{name}", "pipeline": name, "model": "bundled", "inputs": proof.ONE_INPUT, "metrics": [],
            "baseline": {**baseline, "resolution": SIZE, "threads": THREADS},
            "protocol": {"warmup": WARMUP, "repeats": REPEATS, "seeds": [SEED]},
        }
    )  # fmt: skip


def harness(studies: list[Study]) -> Found:
    """What the records of fresh builds say."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        summary = runner.run(studies, Path(folder))
        for one in summary.records.values():
            if one.status != "ok":
                raise SystemExit(f"{one.study}: {one.status}: {one.reason}")
            with Image.open(Path(folder) / one.study / one.images[0]["file"]) as picture:
                sha256 = hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()
            found[one.pipeline] = (of_samples.median(one.latency_s), sha256)
    return found


def bare(studies: list[Study]) -> Found:
    """What the script says, in a process of its own."""
    jobs = [_job(study) for study in studies]
    command = [sys.executable, bare_loop.__file__, json.dumps(jobs)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the bare script ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        name: (of_samples.median(answer["seconds"]), answer["sha256"])
        for name, answer in zip(CALLS, answers, strict=True)
    }


def _job(study: Study) -> dict[str, Any]:
    name = study.pipeline.name
    given = {"class": CALLS[name][0], "arguments": CALLS[name][1], "folder": str(paths.BUNDLED / name)}
    given |= {"size": SIZE, "seed": SEED, "warmup": WARMUP, "repeats": REPEATS, "threads": THREADS}
    (item,) = inputs.read(study.baseline.inputs)
    if name != "sdxl-inpaint":
        return {**given, "prompt": item.caption}
    files = {part: str(paths.BUNDLED / "inputs" / f"{item.name}{end}.png") for part, end in FILES.items()}
    return {**given, "prompt": item.prompt, **files}


FILES = {"image": "", "mask": ".mask"}

if __name__ == "__main__":
    proof.start(main, __doc__, builds=BUILDS)
