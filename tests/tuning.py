"""What tests of searches share: a small space, and a measurer by a formula in the place of the real one."""

import json

import numpy as np

from mic2e_bench.machine import environment
from mic2e_bench.records import record
from mic2e_bench.tools.tune import budget, space_file, tune

SPACE = {
    "study": "found",
    "pipeline": "objectclear",
    "baseline": {"steps": 8, "resolution": 128, "guidance": 2.5},
    "space": {
        "steps": [1, 2, 4, 8],
        "resolution": [64, 96, 128],
        "guidance": [1.0, 2.5],
        "guidance_stop": {"values": [0.5, 1.0], "when": {"guidance": [2.5]}},
        "attention": ["native", {"sliced": [1, 2]}],
    },
    "protocol": {"warmup": 0, "repeats": 3, "seeds": [42]},
    "metrics": ["lpips"],
}  # 4 x 3 x (1 + 2) x (1 + 2) = 108 points


class Measurer:
    """In the place of the runner and the scorer: records by a formula. ``calls`` has the trials of each run."""

    def __init__(self, fails=lambda settings: "", stops_after=10**9):
        self.fails, self.stops_after, self.calls, self.again = fails, stops_after, [], []

    @property
    def measured(self):
        return [trial.id for call in self.calls for trial in call]

    def run(self, studies, results, *, rerun=False, force=False):
        for study in studies:
            made = []
            for trial in study.trials:
                path = record.path_of(results, study.name, trial.id)
                if rerun or not path.exists():
                    if len(self.measured) + len(made) >= self.stops_after:
                        raise KeyboardInterrupt
                    record.write(results, self.record(trial))
                    made.append(trial)
            self.again += made if rerun else []
            self.calls += [] if rerun else [made]

    def record(self, trial):
        s, reason = trial.settings, self.fails(trial.settings)
        size = (s["resolution"] / 128) ** 2
        guided = 1 + (s["guidance"] > 1) * s["guidance_stop"]
        latency = 0.1 + 0.1 * s["steps"] * size * guided * (1.5 if s["attention"] != "native" else 1)
        quality = 100 * (1 - np.exp(-s["steps"] / 2)) * (0.5 + 0.5 * size) * (0.9 + 0.1 * (s["guidance"] > 1))
        bad = {"status": "not_applied", "reason": reason} if reason else {"status": "ok"}
        receipts = {name: {"asked": s[name], "seen": 0, "applied": name != reason, "how": ""} for name in s}
        entry = {"value": quality, "unit": "%", "better": "higher", "against": "0", "backbone": None, "ci95": None,
                 "floor": 99.0, "anchor": ""}  # fmt: skip
        return record.make(
            trial, **bad, quality={"quality": entry}, receipts=receipts, timing={"latency_s": [latency] * 3},
            environment=environment.here("cpu"),
            memory={"peak_rss_bytes": int(1e9 + 5e8 * size * (0.8 if s["attention"] != "native" else 1))},
        )  # fmt: skip


def search(content, results, spend="30", limits=None, **changes):
    """The content of ``front.json`` after a search, and the text."""
    study, space = space_file.resolve(content)
    text, fits = tune.tune(study, space, results, budget.parse(spend), limits, **changes)
    return {**json.loads((results / study.name / "tune" / "front.json").read_text()), "fits": fits, "text": text}
