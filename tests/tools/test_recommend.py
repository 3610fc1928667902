"""Choosing among measured settings: the front, limits, the recommendation against brute force, and the command."""

import gzip
import itertools
import json
import shlex

import numpy as np
import pytest
from grids import GIB, grid, stored
from helpers import command, file, refusal, rewrite, tiny

from mic2e_bench import documents, paths
from mic2e_bench.plan import params
from mic2e_bench.records import comparable, record
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


def brute_force(points, asked, prefer):
    """The rule, written anew: keep what ties with the best in one quantity after the other."""
    sign = {LATENCY: 1, MEMORY: 1, QUALITY: -1}
    left = []
    for point in points:
        v = point.values
        if v[LATENCY] > asked.get(LATENCY, np.inf) or v[MEMORY] > asked.get(MEMORY, np.inf):
            continue
        if v[QUALITY] >= asked.get(QUALITY, -np.inf):
            left.append(point)
    good = [
        p for p in left if p.row.get("baseline") or (p.record and comparable.told(p.record) in ("same", "rounding"))
    ]
    first = prefer or (LATENCY if QUALITY in asked else QUALITY)
    ranking = [first, *(name for name in (QUALITY, LATENCY, MEMORY) if name != first)]
    if good and not prefer and QUALITY not in asked:
        left, ranking = good, [LATENCY, MEMORY]
    for name in ranking if left else ():
        top = sorted(left, key=lambda p: (sign[name] * p.values[name], p.id))[0]
        left = [
            p for p in left
            if abs(p.values[name] - top.values[name]) <= max(p.noise[name], top.noise[name])
        ]  # fmt: skip
    exact = sorted(
        left, key=lambda p: (not p.row.get("baseline"), [sign[name] * p.values[name] for name in ranking], p.id)
    )
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
        assert (made.best.id if made.best else None) == brute_force(points, asked, prefer)
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
    grid(tmp_path, vram=vram, spread=spread, told=("rounding", "visible", "unknown"))
    among = candidates.read(["grid"], tmp_path)
    points = recommend.points(among.rows, among.memory, among.metric, among.records)
    assert len(points) == 30
    found = against_brute_force(points)
    assert len(found) > 10 and None in found


def test_it_is_over_the_sealed_landscape_as_well():
    path = paths.root() / "results" / "landscape" / "landscape-objectclear.json.gz"
    content = json.loads(gzip.decompress(path.read_bytes()))
    rows = []
    for at, one in enumerate(content["rows"]):
        q1, median, q3 = np.percentile(one["latency_s"], [25, 50, 75])
        quality = one["quality"]["quality"]
        rows.append(
            {"id": str(at), "label": str(at), "latency_s": median, "latency_q1_s": q1, "latency_q3_s": q3,
             "peak_rss_bytes": one["memory"]["peak_rss_bytes"], "quality": quality["value"],
             "quality_floor": quality["floor"]}
        )  # fmt: skip
    assert len(rows) >= 400
    found = against_brute_force(recommend.points(rows, content["memory"], content["metric"]))
    assert len(found) > 10 and None in found


def point(label, seconds, gib, quality, noise=(0.0, 0.0, 0.0)):
    values = {LATENCY: seconds, MEMORY: gib * GIB, QUALITY: quality}
    row = {"study": "s", "pipeline": "objectclear", "baseline": label == "baseline"}
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
    assert (code, found["order"][0], found["memory"]) == (
        0,
        "latency" if found["as_good"] else "quality",
        "peak_vram_reserved_bytes",
    )
    assert best["latency_s"] <= 4 and best["memory_bytes"] <= 10e9
    fitting = [p for p in found["points"] if p["latency_s"] <= 4 and p["memory_bytes"] <= 10e9]
    if found["as_good"]:  # the baseline fits, and nothing else is known to be as good
        assert best["told"] == "same"
    else:
        assert best["quality_percent"] >= max(p["quality_percent"] for p in fitting) - 0.5
    assert set(best["settings"]) >= {"steps", "resolution", "guidance", "precision"}
    code, out, _ = command(capsys, *asked, "--min-quality", "100%")
    assert code in (0, 1)
    code, out, _ = command(capsys, "recommend", "grid", "--results", tmp_path, "--max-latency", "1us")
    assert code == 1 and "Nothing measured fits" in out and "out of reach: the best is" in out and "nearest: " in out


def test_a_params_file_names_its_own_trials_only(capsys, tmp_path):
    study = grid(tmp_path)
    path = file(tmp_path / "few.yaml", {**study.params, "vary": {"steps": [2, 4]}})
    found = json.loads(command(capsys, "recommend", path, "--results", tmp_path, "--json")[1])
    assert {p["settings"]["steps"] for p in found["points"]} == {2, 4, 20}


def test_records_that_cannot_be_compared_are_named_and_left_out(capsys, tmp_path):
    study = grid(tmp_path)
    made = {name: trial for name, trial in zip(("oom", "far", "hot", "torn"), study.trials[1:], strict=False)}
    stored(tmp_path, study, made["oom"], 0.001, 1, 99.9, status="oom")
    stored(tmp_path, study, made["far"], 0.001, 1, 99.9, host="elsewhere")
    stored(tmp_path, study, made["hot"], 0.001, 1, 99.9, disturbed=["throttled to 900 MHz"])
    (tmp_path / "grid" / f"{made['torn'].id}.json").write_text("{")
    _, out, _ = command(capsys, "recommend", "grid", "--results", tmp_path)
    assert "Left out: 4" in out
    assert "Disturbed while they were measured, and left out: 1." in out
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
        (["grid", "--max-latency", "-1s"], "-1s is out of reach: nothing takes so little"),
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


def by_steps(results, values, **more):
    """The study of the README with these (seconds, quality, what is told of it), by steps; 20 is the baseline."""
    base = {"steps": 20, "resolution": 512, "guidance": 2.5, "precision": "fp32", "resample": "bicubic"}
    of = params.resolve_study(tiny(study="objectclear-steps", baseline=base, vary={"steps": list(values)}))
    for trial in of.trials:
        seconds, quality, told = values.get(trial.settings["steps"], (9.9, 100.0, None))
        stored(
            results, of, trial, seconds, 1, quality, False, told=told, **more.get(f"of_{trial.settings['steps']}", {})
        )
    return of


STEPS = {20: (2.65, 100.0, None), 12: (1.43, 99.9, "rounding"), 8: (1.1, 80.0, "visible"), 4: (0.6, 34.6, "visible")}


def test_the_example_of_the_readme_recommends_an_optimisation(capsys, tmp_path):
    by_steps(tmp_path, STEPS)
    asked = ["--max-latency", "4s", "--max-memory", "2GB", "--min-quality", "85%"]
    for given in (asked, asked[:4], []):
        out = command(capsys, "recommend", "objectclear-steps", "--results", tmp_path, *given)[1]
        assert "Best: steps=12\n  latency 1.43 s" in out and "quality 99.9 %" in out
    assert "faster, but its pictures differ visibly: steps=4: latency 0.600 s" in out
    assert "--min-quality says how much quality is enough" in out
    found = json.loads(command(capsys, "recommend", "objectclear-steps", "--results", tmp_path, "--json")[1])
    assert (found["best"]["label"], found["as_good"], found["best"]["told"]) == ("steps=12", True, "rounding")
    out = command(capsys, "recommend", "objectclear-steps", "--results", tmp_path, "--min-quality", "30%")[1]
    assert "Best: steps=4\n" in out  # that is enough, as asked


@pytest.mark.parametrize(("told", "words"), [("unknown", "it is not known how good"), ("too few", "too few pictures")])
def test_what_is_not_known_to_be_as_good_is_not_recommended_unasked(capsys, tmp_path, told, words):
    by_steps(tmp_path, {20: STEPS[20], 12: (1.43, 99.9, told)})
    out = command(capsys, "recommend", "objectclear-steps", "--results", tmp_path)[1]
    assert "Best: baseline (ORIGINAL)\n" in out and f"faster, but {words}" in out
    out = command(capsys, "recommend", "objectclear-steps", "--results", tmp_path, "--prefer", "latency")[1]
    assert "Best: steps=12\n" in out


def test_where_nothing_as_good_fits_the_best_quality_counts_and_that_is_said(capsys, tmp_path):
    by_steps(tmp_path, STEPS)
    out = command(capsys, "recommend", "objectclear-steps", "--results", tmp_path, "--max-latency", "1.2s")[1]
    assert "Best: steps=8\n" in out and "Nothing that fits is known to be as good as the baseline" in out


def test_the_settings_are_whole_and_can_be_pasted(capsys, tmp_path):
    """Of two axes and a baseline that is not as by default: what is pasted resolves to what was measured."""
    base = {"steps": 20, "resolution": 512, "threads": 1, "resample": "bicubic"}
    of = params.resolve_study(
        tiny(
            study="axes",
            baseline=base,
            vary=None,
            trials=[{"steps": 4, "resolution": 256}, {"attention": "sliced:auto"}],
        )
    )
    for trial, seconds in zip(of.trials, (3.0, 1.0, 2.0), strict=True):
        stored(tmp_path, of, trial, seconds, 1, 100.0, False, told="rounding")
    out = command(capsys, "recommend", "axes", "--results", tmp_path)[1]
    (line,) = [line.strip() for line in out.splitlines() if line.startswith("  settings: ")]
    pasted = documents.yaml_value(line)["settings"]
    assert pasted["steps"] == 4 and pasted["resolution"] == 256 and pasted["threads"] == 1
    again = params.resolve_study(tiny(baseline=pasted, vary=None))
    assert again.baseline.id == of.trials[1].id
    found = json.loads(command(capsys, "recommend", "axes", "--results", tmp_path, "--json")[1])
    assert found["best"]["settings"] == pasted
    for point, trial in zip(sorted(found["points"], key=lambda p: -p["latency_s"]), (0, 2, 1), strict=True):
        assert params.resolve_study(tiny(baseline=point["settings"], vary=None)).baseline.id == of.trials[trial].id


def test_the_settings_of_a_params_file_have_all_that_its_baseline_names(capsys, tmp_path):
    of = by_steps(tmp_path, STEPS)
    path = file(tmp_path / "mine.yaml", dict(of.params))
    found = json.loads(command(capsys, "recommend", path, "--results", tmp_path, "--json")[1])
    assert set(found["best"]["settings"]) >= set(of.params["baseline"])


def test_disturbed_records_are_counted_marked_and_measured_again_by_one_command(capsys, tmp_path):
    noisy = {"of_12": {"disturbed": ["other work"]}, "of_8": {"disturbed": ["other work"]}}
    of = by_steps(tmp_path / "a results folder", STEPS, **noisy)
    path = file(tmp_path / "mine.yaml", dict(of.params))
    asked = ["recommend", path, "--results", tmp_path / "a results folder"]
    out = command(capsys, *asked)[1]
    assert "Disturbed while they were measured, and left out: 2." in out
    (words,) = [line.partition("again: ")[2] for line in out.splitlines() if "to measure them again" in line]
    assert words == f"mic2e-bench run {path} --rerun-disturbed --results '{tmp_path / 'a results folder'}'"
    assert json.loads(command(capsys, *asked, "--json")[1])["measure_again"] == words
    assert command(capsys, *shlex.split(words)[1:], "--dry-run")[0] == 0
    out = command(capsys, *asked, "--with-disturbed")[1]
    assert "Disturbed while they were measured (†): 2" in out and "1.43 s †" in out and "2.65 s †" not in out
    assert (
        "(FILE: the params file of objectclear-steps)"
        in command(capsys, "recommend", "objectclear-steps", *asked[2:])[1]
    )


def test_a_single_call_tells_nothing_apart(capsys, tmp_path):
    of = by_steps(tmp_path, STEPS)
    asked = ["recommend", "objectclear-steps", "--results", tmp_path, "--min-quality", "85%"]
    assert "Best: steps=12" in command(capsys, *asked)[1]
    for trial in of.trials:
        path = record.path_of(tmp_path, of.name, trial.id)
        one = json.loads(path.read_text())
        rewrite(path, {**one, "timing": {**one["timing"], "latency_s": one["timing"]["latency_s"][:1]}})
    out = command(capsys, *asked)[1]
    assert "Best: baseline" in out and "A single call has no spread" in out


def test_too_few_pictures_are_never_as_good_where_quality_comes_first(capsys, tmp_path):
    by_steps(tmp_path, {**STEPS, 12: (1.43, 99.7, "too few")})  # within the floor
    asked = ["recommend", "objectclear-steps", "--results", tmp_path, "--prefer", "quality"]
    assert "Best: baseline" in command(capsys, *asked)[1]


def in_turns(results, of, seconds, noise):
    """Records of eight rounds over eight builds; ``noise`` is of each round, the same for all, then of each trial."""
    for number, (trial, middle) in enumerate(zip(of.trials, seconds, strict=True)):
        stored(results, of, trial, middle, 1, 100.0, False, told="same")
        path = record.path_of(results, of.name, trial.id)
        one = json.loads(path.read_text())
        samples = [middle * (1 + noise * (-1) ** (index + index // 2 * number)) * (1 + index / 4) for index in range(8)]
        timing = {"latency_s": samples, "rounds": "r", "builds": list(range(8)), "placebo_s": samples}
        rewrite(path, {**one, "timing": {**one["timing"], **timing}})


def test_speeds_are_ranked_by_the_intervals_of_their_ratios(capsys, tmp_path):
    """The machine drifts to three times the seconds: medians and their spread tell nothing apart, rounds do."""
    of = params.resolve_study(tiny(study="turns", vary={"steps": [1, 2]}, baseline={"steps": 2, "resolution": 64}))
    in_turns(tmp_path, of, [2.0, 1.8], 0.001)
    out = command(capsys, "recommend", "turns", "--results", tmp_path)[1]
    assert "Best: steps=1\n" in out and "speed against the baseline: 1.11× [" in out
    assert "Speed is compared by the 95 % intervals of ratios." in out
    in_turns(tmp_path, of, [2.0, 1.99], 0.05)
    out = command(capsys, "recommend", "turns", "--results", tmp_path)[1]
    assert "Best: baseline\n" in out and "not to be told apart from it" in out  # what changes nothing is not advised
