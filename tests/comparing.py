"""Two sets of records that nobody measured: what a comparison is tested with."""

import dataclasses

from mic2e_bench.machine import environment
from mic2e_bench.records import record


def put(results, made, seconds, quality=None, status="ok", rss=600, label=None, sha="0" * 64, at="2026", **environ):
    """Records of a study's trials by label: seconds, and percent of quality."""
    for trial in made.trials:
        if trial.label not in seconds:
            continue
        value = seconds[trial.label]
        samples = [value * share for share in (0.99, 1.0, 1.01, 0.995, 1.005)]
        here = {**environment.here("cpu"), "started": at, **environ}
        picture = [{"input": "in0", "seed": 42, "file": "images/a.png", "sha256": sha}]
        share = (quality or {}).get(trial.label, 100.0)
        entry = {"unit": "%", "better": "higher", "against": made.baseline.id, "backbone": "stand-in", "floor": 99.9,
                 "value": share, "ci95": [share - 0.2, share + 0.2], "n": 4}  # fmt: skip
        one = record.make(
            dataclasses.replace(trial, label=label or trial.label), status, "" if status == "ok" else "no memory left",
            timing={"latency_s": samples}, environment=here, images=picture, quality={"quality": entry},
            memory={"peak_rss_bytes": rss * 2**20, "weights_bytes": 10**7},
        )  # fmt: skip
        record.write(results, one)


def put_rounds(folder, made, base, head, rounds=6, order="turns", noise=(0.0,), **more):
    """Both sides in rounds that take turns: base, head, head, base; or all of the base ``first``."""
    for number in range(rounds):
        drift = (1.0, 1.6, 0.7, 1.2, 0.9, 1.4, 1.1, 0.8)[number % 8]
        place = {"base": 2 * number + number % 2, "head": 2 * number + 1 - number % 2}
        if order == "first":
            place = {"base": number, "head": rounds + number}
        for side, seconds in (("base", base), ("head", head)):
            own = drift * (1 + noise[number % len(noise)] * (side == "head"))
            at = f"2026-01-01T00:{place[side]:02}:00"
            put(folder / side / f"{number:02}", made, {k: v * own for k, v in seconds.items()}, at=at, **more)
    return folder / "base", folder / "head"
