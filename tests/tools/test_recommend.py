"""Choosing among measured settings: the front, limits, the recommendation against brute force, and the command."""

import gzip
import itertools
import json

import numpy as np
import pytest
from grids import GIB, grid, stored
from helpers import command, file, refusal, tiny

from mic2e_bench import paths
from mic2e_bench.plan import params
from mic2e_bench.tools.recommend import candidates, pareto, recommend
from mic2e_bench.tools.recommend.recommend import LATENCY, MEMORY, QUALITY


def test_the_front_is_what_brute_force_finds():
    draw = np.random.default_rng(1)
    values = draw.integers(0, 6, size=(80, 3)).astype(float)
    values[5, 1] = np.nan
    for mine, got in zip(values, pareto.nondominated(values), strict=True):
        beaten = any(all(a <= b for a, b in zip(o, mine, strict=True)) and any(o < mine) for o in values)
        assert got == (not beaten and not np.isnan(mine).any())
    assert pareto.nondominated(np.zeros((0, 3))).shape == (0,)


def test_what_only_noise_beats_is_a_tie():
    values = np.array([[1.0, 5.0], [1.05, 5.0], [1.5, 5.0], [0.9, 9.0], [np.nan, 1.0]])
    assert pareto.standing(values, np.full((5, 2), 0.1)) == ["front", "tie", "beaten", "front", "unknown"]
    assert pareto.standing(values, np.zeros((5, 2))) == ["front", "beaten", "beaten", "front", "unknown"]


def brute_force(points, asked, ranking):
    """The rule, written anew: keep what ties with the best in one quantity after the other."""
    sign = {LATENCY: 1, MEMORY: 1, QUALITY: -1}
    left = []
    for point in points:
        v = point.values
        if v[LATENCY] > asked.get(LATENCY, np.inf) or v[MEMORY] > asked.get(MEMORY, np.inf):
            continue
        if v[QUALITY] >= asked.get(QUALITY, -np.inf):
            left.append(point)
    for name in ranking if left else ():
        top = sorted(left, key=lambda p: (sign[name] * p.values[name], p.id))[0]
        left = [
            p for p in left
            if abs(p.values[name] - top.values[name]) <= max(p.noise[name], top.noise[name])
        ]  # fmt: skip
    exact = sorted(left, key=lambda p: ([sign[name] * p.values[name] for name in ranking], p.id))
    return exact[0].id if exact else None


def against_brute_force(points, count=200):
    """Compare recommendations under random limits with brute force; returns the ids that were recommended."""
    draw, found = np.random.default_rng(2), set()
    values = {name: [p.values[name] for p in points] for name in (LATENCY, MEMORY, QUALITY)}
    for _ in range(count):
        drawn = {name: float(draw.uniform(0.9 * min(some), 1.1 * max(some))) for name, some in values.items()}
        asked = {name: drawn[name] for name in drawn if draw.random() < 0.6}
        prefer = draw.choice([None, LATENCY, MEMORY, QUALITY])
        made = recommend.recommend(points, asked, prefer)
        assert (made.best.id if made.best else None) == brute_force(points, asked, recommend.order(asked, prefer))
        found.add(made.best.id if made.best else None)
        if made.best:
            assert not made.best.beyond(asked) and made.nearest is None
        else:
            assert made.nearest in points
        for relaxed in made.relaxed if made.best else ():
            if relaxed.least:
                assert relaxed.least.beyond({relaxed.name: asked[relaxed.name]})
                assert relaxed.least.improves_on(made.best, made.order)
    return found


@pytest.mark.parametrize(("vram", "spread"), [(True, 0.01), (False, 0.2)])
def test_the_recommendation_is_that_of_brute_force_for_200_random_sets_of_limits(tmp_path, vram, spread):
    grid(tmp_path, vram=vram, spread=spread)
    among = candidates.read(["grid"], tmp_path)
    points = recommend.points(among.rows, among.memory, among.metric)
    assert len(points) == 30
    found = against_brute_force(points)
    assert len(found) > 10 and None in found


def test_it_is_over_the_sealed_landscape_as_well():
    (path,) = (paths.root() / "results" / "landscape").glob("*.json.gz")
    content = json.loads(gzip.decompress(path.read_bytes()))
    rows = []
    for one in content["rows"]:
        q1, median, q3 = np.percentile(one["latency_s"], [25, 50, 75])
        quality = one["quality"]["quality"]
        rows.append(
            {"id": one["id"], "label": one["label"], "latency_s": median, "latency_q1_s": q1, "latency_q3_s": q3,
             "peak_rss_bytes": one["memory"]["peak_rss_bytes"], "quality": quality["value"],
             "quality_floor": quality["floor"]}
        )  # fmt: skip
    assert len(rows) >= 400
    found = against_brute_force(recommend.points(rows, content["memory"], content["metric"]))
    assert len(found) > 10 and None in found


def point(label, seconds, gib, quality, noise=(0.0, 0.0, 0.0)):
    values = {LATENCY: seconds, MEMORY: gib * GIB, QUALITY: quality}
    row = {"study": "s", "pipeline": "objectclear"}
    return recommend.Point(row, label, label, values, dict(zip(values, noise, strict=True)))


def test_noise_does_not_decide_where_another_quantity_does():
    slow, fast = point("slow", 5, 8, 99.9, (0, 0, 0.5)), point("fast", 1, 8, 99.8, (0, 0, 0.5))
    made = recommend.recommend([slow, fast], {MEMORY: 10 * GIB})
    assert (made.order[0], made.best.label) == (QUALITY, "fast")
    twin = point("twin", 1.01, 8, 99.9, (0.1, 0, 0.5))
    made = recommend.recommend([slow, fast, twin], {})
    assert (made.best.label, [p.label for p in made.ties]) == ("twin", ["fast"])
    assert [p.label for p in made.runners_up] == ["slow"]
    assert made.standing == {"slow": "beaten", "fast": "front", "twin": "front"}


def test_what_a_limit_costs():
    points = [point("a", 1, 8, 80), point("b", 2, 8, 90), point("c", 4, 8, 95), point("d", 9, 8, 99)]
    made = recommend.recommend(points, {LATENCY: 3.0})
    (cost,) = made.relaxed
    assert (made.best.label, cost.least.label, cost.most.label) == ("b", "c", "d")
    made = recommend.recommend(points, {LATENCY: 10.0, MEMORY: 20 * GIB})
    assert made.best.label == "d" and all(cost.least is cost.most is None for cost in made.relaxed)


def test_where_nothing_fits_the_nearest_is_named():
    points = [point("a", 1, 8, 80), point("b", 2, 8, 90)]
    made = recommend.recommend(points, {LATENCY: 1.5, QUALITY: 88.0})
    assert made.best is None and made.nearest.label in ("a", "b") and made.out_of_reach() == []
    assert {cost.name: cost.least.label for cost in made.relaxed} == {LATENCY: "b", QUALITY: "a"}
    assert recommend.recommend(points, {LATENCY: 0.5}).out_of_reach() == [LATENCY]


def test_the_command_answers_people_and_programs(capsys, tmp_path):
    grid(tmp_path)
    asked = ["recommend", "grid", "--results", tmp_path, "--max-latency", "4s", "--max-vram", "10GB"]
    code, out, err = command(capsys, *asked)
    assert (code, err) == (0, "")
    for words in ("Best: ", "Runners-up:", "What each limit costs", "front", "peak VRAM that PyTorch", "stand-in"):
        assert words in out
    code, out, _ = command(capsys, *asked, "--json")
    found = json.loads(out)
    best = found["best"]
    assert (code, found["order"][0], found["memory"]) == (0, "quality", "peak_vram_reserved_bytes")
    assert best["latency_s"] <= 4 and best["memory_bytes"] <= 10e9
    fitting = [p for p in found["points"] if p["latency_s"] <= 4 and p["memory_bytes"] <= 10e9]
    assert best["quality_percent"] >= max(p["quality_percent"] for p in fitting) - 0.5
    assert set(best["settings"]) == {"steps", "resolution", "guidance"}
    code, out, _ = command(capsys, *asked, "--min-quality", "100%")
    assert code in (0, 1)
    code, out, _ = command(capsys, "recommend", "grid", "--results", tmp_path, "--max-latency", "1us")
    assert code == 1 and "Nothing measured fits" in out and "out of reach: the best is" in out and "nearest: " in out


def test_a_params_file_names_its_own_trials_only(capsys, tmp_path):
    study = grid(tmp_path)
    path = file(tmp_path / "few.yaml", {**study.params, "vary": {"steps": [2, 4]}})
    found = json.loads(command(capsys, "recommend", path, "--results", tmp_path, "--json")[1])
    assert {tuple(p["settings"].items()) for p in found["points"]} == {(("steps", s),) for s in (2, 4, 20)}


def test_records_that_cannot_be_compared_are_named_and_left_out(capsys, tmp_path):
    study = grid(tmp_path)
    made = {name: trial for name, trial in zip(("oom", "far", "hot", "torn"), study.trials[1:], strict=False)}
    stored(tmp_path, study, made["oom"], 0.001, 1, 99.9, status="oom")
    stored(tmp_path, study, made["far"], 0.001, 1, 99.9, host="elsewhere")
    stored(tmp_path, study, made["hot"], 0.001, 1, 99.9, disturbed=["throttled to 900 MHz"])
    (tmp_path / "grid" / f"{made['torn'].id}.json").write_text("{")
    _, out, _ = command(capsys, "recommend", "grid", "--results", tmp_path)
    assert "Left out: 4" in out
    for words in ("oom: why", "another environment", "disturbed: throttled to 900 MHz", "damaged"):
        assert words in out
    assert "1.00 ms" not in out


def test_a_setting_without_a_score_is_left_out_only_where_quality_counts(capsys, tmp_path):
    study = grid(tmp_path)
    stored(tmp_path, study, study.trials[1], 0.001, 1, None)
    fastest = ["recommend", "grid", "--results", tmp_path, "--prefer", "latency", "--json"]
    found = json.loads(command(capsys, *fastest)[1])
    assert found["points"][[p["id"] for p in found["points"]].index(study.trials[1].id)]["place"] == "unknown"
    assert found["best"]["id"] != study.trials[1].id


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["nothing"], "unknown study 'nothing'"),
        (["grid", "--max-latency", "4"], "'4' has no unit"),
        (["grid", "--max-vram", "10GB", "--max-memory", "10GB"], "give one"),
        (["grid", "--metric", "psnr"], "unknown metric of quality"),
        (["cpu", "--max-vram", "10GB"], "without VRAM: ask for --max-memory"),
        (["cpu", "--prefer", "quality"], "no quality was scored"),
        (["empty"], "no records"),
        (["failed"], "nothing to choose from: 2 error: why"),
        (["grid", "other"], "several pipelines"),
    ],
)
def test_bad_input_is_answered_with_a_line(capsys, tmp_path, given, words):
    grid(tmp_path)
    (tmp_path / "empty").mkdir()
    for name, vram, status in (("cpu", False, "ok"), ("failed", True, "error"), ("other", True, "ok")):
        more = {"pipeline": "sam3", "baseline": {}, "vary": {"precision": ["bf16"]}, "metrics": ["iou"]}
        study = params.resolve_study(tiny(study=name, **(more if name == "other" else {})))
        for trial, seconds in zip(study.trials, itertools.count(1)):
            stored(tmp_path, study, trial, seconds, 1, None, vram, status=status)
    assert words in refusal(capsys, "recommend", *given, "--results", tmp_path)
