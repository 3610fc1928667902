"""Is a whole study silent where nothing changes? ``python -m mic2e_bench.workshop.proof.studies``

Twenty settings that do nothing here (switches of CUDA on a CPU, of a compiler that is not asked for), in studies of
five with a baseline and its placebo each, as anybody would measure them: rounds over eight fresh builds, and once more
where something disturbed them, or they drifted, so that a speed-up has no interval. A setting is called different where
the interval of its speed-up leaves 1 out. Exits with 1 where more than one of the twenty is, or where the machine is
too busy for intervals.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from pathlib import Path

from mic2e_bench import api
from mic2e_bench.records import ratios
from mic2e_bench.units import digits
from mic2e_bench.workshop import proof

BASELINE = {"steps": 2, "resolution": 128}
# every combination is a build of its own, and computes the same
IDLE = {"tf32": ["convolutions", "none", "all"], "compile_cache": ["fresh", "kept"], "compile_fullgraph": [False, True],
        "quantize_parts": ["denoiser", "text_encoders"]}  # fmt: skip
SETTINGS, TOGETHER, BUILDS = 20, 5, 8
MOST_FALSE, MOST_WITHOUT, TRIES = 1, 4, 2


def main() -> int:
    """Print a row for each study, and how many settings were called different."""
    trials = [dict(zip(IDLE, values, strict=True)) for values in itertools.product(*IDLE.values())][1 : SETTINGS + 1]
    found: list[ratios.Speedup] = []
    rows = []
    for number in range(0, SETTINGS, TOGETHER):
        for _ in range(TRIES):
            placebo, speedups = measured(f"idle-{number // TOGETHER + 1}", trials[number : number + TOGETHER])
            if all(one.interval for one in speedups):
                break
        found += speedups
        values = ", ".join(digits(one.ratio) for one in speedups)
        rows.append((number // TOGETHER + 1, digits(placebo), values, sum(one.is_clear for one in speedups)))
    false, without = sum(one.is_clear for one in found), Counter(one.why for one in found if one.interval is None)
    about = (
        f"{SETTINGS} settings that do nothing, {TOGETHER} a study, {BUILDS} rounds over as many builds; FLUX, 128 px. "
        f"Called different: {false} of {SETTINGS}; limit: {MOST_FALSE}. Without an interval: "
        f"{', '.join(f'{count} ({why})' for why, count in without.items()) or 'none'}."
    )
    header = ("study", "baseline over its placebo", "speed-ups", "called different")
    print(proof.section("A/A over whole studies", about, header, rows))
    return int(false > MOST_FALSE or without.total() > MOST_WITHOUT)


def measured(name: str, trials: list[dict]) -> tuple[float, list[ratios.Speedup]]:
    """One study in a folder of its own: the baseline over its placebo, and the speed-up of each trial."""
    protocol = {"warmup": 1, "repeats": BUILDS, "seeds": [42], "interleave": True, "builds": BUILDS}
    given = {"study": name, "pipeline": "flux-schnell", "inputs": proof.ONE_INPUT, "metrics": []}
    study = api.study({**given, "baseline": BASELINE, "trials": trials, "protocol": protocol})
    with tempfile.TemporaryDirectory() as folder:
        records = api.run(study, results=Path(folder)).records
    base = records[study.baseline.id]
    again = [ratios.speedup(base, records[trial.id]) for trial in study.trials if trial is not study.baseline]
    return ratios.from_itself(base), again


if __name__ == "__main__":
    proof.start(main, __doc__)
