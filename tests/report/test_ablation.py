"""Ablations and compiling: the trials they make, what their records say of settings together, and their notebooks."""

import helpers
import numpy as np
import pytest
from helpers import tiny

from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.records import record
from mic2e_bench.report import breakdown, findings, interactions, papermill_run, payoff

NOTEBOOKS = helpers.ROOT / "notebooks"
BASE = {"steps": 8, "resolution": 64, "guidance": 2.5, "precision": "fp32", "device": "cpu"}
BEST = {"steps": 4, "guidance": 1.0, "precision": "bf16"}


def ablation(best=BEST, **more):
    return tiny(baseline=BASE, vary=None, ablate={"best": best, **more}, metrics=[])


def study(**more):
    return params.resolve_study(ablation(**more))


def labels(made):
    return [trial.label for trial in made.trials]


def test_the_trials_are_each_setting_alone_the_best_and_the_best_without_each():
    made = study(best={**BEST, "resample": "bilinear"})
    singles = ["+ steps=4", "+ guidance=1.0", "+ precision=bf16", "+ resample=bilinear"]
    lacking = ["best - steps", "best - guidance", "best - precision", "best - resample"]
    assert labels(made) == ["baseline", *singles, "best", *lacking]
    without_steps = next(trial for trial in made.trials if trial.label == "best - steps")
    assert (without_steps.settings["steps"], without_steps.settings["guidance"]) == (8, 1.0)
    with_pairs = study(best={**BEST, "resample": "bilinear"}, pairs=True)
    assert labels(with_pairs)[:10] == labels(made)
    assert len(with_pairs.trials) == 10 + 6
    assert "+ steps=4, guidance=1.0" in labels(with_pairs)


def test_the_same_settings_are_one_trial_and_the_baselines_own_are_none():
    assert labels(study(best={"steps": 4})) == ["baseline", "+ steps=4"]
    assert labels(study(best={"steps": 4, "guidance": 1.0})) == ["baseline", "+ steps=4", "+ guidance=1.0", "best"]
    assert labels(study(best={"steps": 4, "resolution": 64})) == ["baseline", "+ steps=4"]


def test_the_study_has_a_name_of_its_own_and_the_notebook_of_ablations():
    made = params.resolve_study({**ablation(), "study": None})
    assert made.name == "objectclear-ablation"
    assert papermill_run.notebook_of(made) == "ablation.ipynb"
    assert papermill_run.notebook_of(params.resolve_study(tiny(vary={"compile": ["default"]}))) == "compile.ipynb"
    assert papermill_run.notebook_of(params.resolve_study(tiny())) == "sweep.ipynb"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ablate": {"steps": 4}}, "ablate: write best: {setting: value}"),
        ({"ablate": [1]}, "ablate: write best"),
        ({"ablate": {"best": BEST, "pair": True}}, "unknown key 'pair'"),
        ({"ablate": {"best": BEST, "pairs": 1}}, "ablate: pairs: 1 is not true or false"),
        ({"ablate": {"best": {"stepz": 4}}}, "unknown setting 'stepz'"),
        ({"ablate": {"best": {"steps": 0}}}, "ablate: best: steps: 0 is not"),
        ({"ablate": {"best": {"steps": 8}}}, "best differs from the baseline in nothing"),
        ({"ablate": {"best": BEST}, "vary": {"steps": [1]}}, "not vary and ablate"),
    ],
)
def test_a_bad_ablation_is_answered_with_a_line(given, words):
    with pytest.raises(BadInput) as error:
        params.resolve_study({**tiny(baseline=BASE, vary=None), **given})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_an_ablation_is_planned_and_run(capsys, tmp_path):
    given = tiny(vary=None, ablate={"best": {"steps": 2}}, metrics=[])
    code, out, _ = helpers.command(capsys, "plan", helpers.file(tmp_path / "a.yaml", given))
    assert (code, "+ steps=2" in out) == (0, True)


def put(made, results, seconds, status="ok", reason="", spread=0.01, count=8, first=None, builds=True, **parts):
    """Records of a study: label → seconds; ``status`` and ``reason`` are those of labels without seconds.

    All of the same rounds, a build a round (without ``builds``: one build); each trial is noisy by itself.
    """
    noise = np.random.default_rng(0)
    for trial in made.trials:
        value = seconds.get(trial.label)
        timing = {}
        if value:
            samples = list(value * np.exp(spread * noise.standard_normal(count)))
            extra = (first or {}).get(trial.label, value)
            timing = {"load_s": 1.0, "first_call_s": extra, "warmup_s": [extra], "latency_s": samples}
            timing |= {"rounds": "r"} | ({"builds": list(range(count))} if builds else {})
            timing |= {"placebo_s": [1.02 * one for one in samples]} if trial is made.baseline else {}
        word = ("ok", "") if value else (status, reason)
        here = dict(environment.here("cpu"))
        record.write(results, record.make(trial, *word, timing=timing, environment=here, **parts))
    return findings.read(made, results)


TIMES = {"baseline": 8.0, "+ steps=4": 4.0, "+ guidance=1.0": 4.0, "+ precision=bf16": 7.97}
PLAIN = {"best - steps": 4.0, "best - guidance": 4.0, "best - precision": 2.0, "best": 2.0}


def effects(found):
    return {effect.name: effect for effect in interactions.ablation(found).effects()}


def test_speed_ups_that_multiply_are_no_interaction(tmp_path):
    found = effects(put(study(), tmp_path, {**TIMES, **PLAIN}))
    assert found["steps"].alone.value == pytest.approx(2.0, rel=0.02)
    assert found["steps"].inside.value == pytest.approx(2.0, rel=0.02)
    assert {effect.interaction for effect in found.values()} == {"neither"}
    assert not found["precision"].alone.is_clear


@pytest.mark.parametrize(("best", "word"), [(1.0, "help"), (3.5, "cancel"), (2.01, "neither")])
def test_settings_help_or_cancel_where_they_do_not_multiply(tmp_path, best, word):
    made = study(best={"steps": 4, "guidance": 1.0})
    shown = put(made, tmp_path, {**TIMES, "best": best})
    assert {effect.interaction for effect in effects(shown).values()} == {word}
    (pair,) = interactions.ablation(shown).pairs()
    assert (pair.names, pair.expected, pair.interaction) == (("steps", "guidance"), pytest.approx(4, rel=0.03), word)
    said = " ".join(interactions.sentences(interactions.ablation(shown)))
    assert {"help": "help each other", "cancel": "cancel each other", "neither": "No setting"}[word] in said


def test_nothing_is_claimed_inside_the_noise(tmp_path):
    made = study(best={"steps": 4, "guidance": 1.0})
    shown = put(made, tmp_path, {**TIMES, "best": 2.5}, spread=0.5)
    assert {effect.interaction for effect in effects(shown).values()} == {"neither"}
    shown = put(made, tmp_path, {**TIMES, "best": 1.0}, count=5)
    assert {effect.interaction for effect in effects(shown).values()} == {""}
    assert "5 builds, fewer than 6" in effects(shown)["steps"].why
    assert not effects(shown)["steps"].alone.is_clear
    (said,) = interactions.sentences(interactions.ablation(shown))
    assert said.startswith("Whether settings help or cancel each other was not measured well enough to say")


@pytest.mark.parametrize("lacking", ["builds", "rounds"])
def test_two_speed_ups_are_compared_only_in_the_same_rounds_of_several_builds(tmp_path, lacking):
    made = study(best={"steps": 4, "guidance": 1.0})
    put(made, tmp_path, {**TIMES, "best": 1.0}, builds=lacking != "builds")
    if lacking == "rounds":  # one of the four was measured later
        path = record.path_of(tmp_path, made.name, next(trial.id for trial in made.trials if trial.label == "best"))
        raw = dict(record.read(path).raw)
        helpers.store(tmp_path, {**raw, "timing": {**raw["timing"], "rounds": "later"}})
    found = effects(findings.read(made, tmp_path))
    assert {effect.interaction for effect in found.values()} == {""}
    assert found["steps"].inside.value == pytest.approx(4.0, rel=0.03)  # the ratio stands alone


@pytest.mark.parametrize("status", ["not_applied", "refused", "error", "oom"])
def test_settings_that_run_only_apart_break_each_other(tmp_path, status):
    made = study(best={"steps": 4, "guidance": 1.0})
    shown = put(made, tmp_path, TIMES, status=status, reason="<i>never</i> | no")
    assert {effect.interaction for effect in effects(shown).values()} == {"break"}
    html = interactions.html(shown)
    assert "break each other" in html
    assert "&lt;i&gt;never&lt;/i&gt;" in html
    assert "<i>" not in html


def test_a_setting_that_does_not_run_even_alone_breaks_nothing(tmp_path):
    seconds = {label: value for label, value in TIMES.items() if "precision" not in label}
    shown = put(study(), tmp_path, seconds, status="unavailable", reason="no bf16 here")
    assert {effect.interaction for effect in effects(shown).values()} == {""}
    assert effects(shown)["precision"].why == "unavailable: no bf16 here"


def test_a_setting_that_is_never_in_force_does_not_hide_what_the_others_do(tmp_path):
    made = study(best={"steps": 4, "guidance": 1.0, "attention": "xformers"})
    seconds = {"best": 1.0, "best - steps": 4.0, "best - guidance": 4.0, "best - attention": 2.0}
    put(made, tmp_path, {**TIMES, **seconds, "+ attention=xformers": 9.0})
    receipt = {"asked": "xformers", "seen": "sliced:auto", "applied": False, "how": ""}
    for trial in made.trials:
        path = record.path_of(tmp_path, made.name, trial.id)
        if trial.settings["attention"] == "xformers":
            unlike = {"status": "not_applied", "reason": "no CUDA", "receipts": {"attention": receipt}}
            helpers.store(tmp_path, {**record.read(path).raw, **unlike})
    found = effects(findings.read(made, tmp_path))
    assert (found["attention"].alone, found["attention"].why) == (None, "not applied: no CUDA")
    assert (found["steps"].inside.value, found["steps"].interaction) == (pytest.approx(4, rel=0.03), "help")
    assert "among the others attention was not in force" in found["steps"].why
    html = interactions.html(findings.read(made, tmp_path))
    assert "9.00" not in html  # no speed-up is credited to what was not in force


def test_the_table_names_stand_ins_and_says_what_is_missing(tmp_path):
    shown = put(study(), tmp_path, {**TIMES, **PLAIN})
    text = interactions.effects(shown, interactions.ablation(shown)).text()
    assert "bundled stand-in model" in text
    assert "inside the noise" in text
    html = interactions.html(findings.read(study(), tmp_path / "nothing"))
    assert "has no record" in html


COMPILED = {"compile": ["default", "regional"], "compile_cache": ["fresh", "kept"]}


@pytest.fixture
def compiled(tmp_path):
    """Cold and warm, faster and not faster than the baseline's second a call."""
    made = params.resolve_study(tiny(baseline=BASE, vary=COMPILED, metrics=[]))
    cold, warm = "compile=default, compile_cache=fresh", "compile=default, compile_cache=kept"
    slow = "compile=regional, compile_cache=fresh"
    receipts = {"compile": {"asked": "x", "seen": "x", "applied": True, "how": "3 graphs compiled <1>"}}
    seconds, first = {"baseline": 1.0, cold: 0.8, warm: 0.8, slow: 1.2}, {"baseline": 1.5, cold: 31.2, warm: 5.2}
    return put(
        made, tmp_path, seconds, first=first, receipts=receipts, status="not_applied", reason="no graph", spread=0
    )


def test_compiling_pays_off_after_a_number_of_images_cold_and_warm(compiled):
    rows = {row[0]: row for row in payoff.table(compiled).rows}
    cold, warm = rows["compile=default, compile_cache=fresh"], rows["compile=default, compile_cache=kept"]
    assert (cold[1], warm[1]) == ("31.2 s", "5.20 s")
    assert 135 < int(cold[4].removesuffix(" images")) < 165 and 17 < int(warm[4].removesuffix(" images")) < 23
    assert cold[3].startswith("1.2") and " to " in cold[3]
    assert rows["compile=regional, compile_cache=fresh"][4].startswith("never")
    assert "not applied: no graph" in rows["compile=regional, compile_cache=kept"]
    baseline = next(row for label, row in rows.items() if label.startswith("baseline"))
    assert baseline[3:6] == ["–", "–", "–"]
    assert "3 graphs compiled &lt;1&gt;" in payoff.table(compiled).html()


def test_nothing_pays_off_by_a_speed_up_that_was_not_measured_well_enough(tmp_path):
    made = params.resolve_study(tiny(baseline=BASE, vary={"compile": ["default"]}, metrics=[]))
    inside = "the speed-up is inside the noise"
    for count, value, note in ((5, 0.8, "5 builds"), (8, 0.99, inside), (8, 1.01, inside)):
        seconds, first = {"baseline": 1.0, "compile=default": value}, {"compile=default": 31.2}
        found = put(made, tmp_path, seconds, first=first, count=count, spread=0.001)
        row = payoff.table(found).rows[1]
        assert row[4] == "not measured well enough to say" and note in row[6]
        assert breakdown.start(found, [(one.label, one) for one in found.records.values()]).rows[1][-1] == row[4]


def test_a_trial_without_its_uncompiled_counterpart_is_not_compared(tmp_path):
    rows = [{"compile": "default", "steps": 2, "label": "two"}]
    made = params.resolve_study(tiny(baseline=BASE, vary=None, trials=rows, metrics=[]))
    shown = put(made, tmp_path, {"baseline": 1.0, "two": 0.2})
    row = next(row for row in payoff.table(shown).rows if row[0] == "two")
    assert (row[3], row[6]) == ("–", "no trial with the same settings uncompiled")


def test_the_figure_shows_what_ran(compiled, tmp_path):
    (axes,) = payoff.figure(compiled).axes
    assert len(axes.lines) == 4
    assert payoff.figure(findings.read(compiled.study, tmp_path / "nothing")) is None


@pytest.mark.parametrize(("name", "example"), [("ablation.ipynb", "ablate"), ("compile.ipynb", "vary")])
def test_a_notebook_is_stored_clean_and_runs(tmp_path, name, example):
    nbformat, papermill = pytest.importorskip("nbformat"), pytest.importorskip("papermill")
    content = nbformat.read(NOTEBOOKS / name, as_version=4)
    nbformat.validate(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert set(papermill.inspect_notebook(NOTEBOOKS / name)) == {*params.KEYS, "results", "mixed"}
    values = {}
    exec(code[0].source, values)
    assert len(params.resolve_study({key: values[key] for key in params.KEYS}).trials) > 3
    given = ablation() if example == "ablate" else tiny(baseline=BASE, vary=COMPILED, metrics=[])
    made = params.resolve_study(given)
    put(made, tmp_path, dict.fromkeys(labels(made), 1.0))
    with papermill_run.surroundings() as environment:
        assert papermill_run.one(NOTEBOOKS / name, made, tmp_path, False, environment, []) == ""
    cells = nbformat.read(tmp_path / made.name / name, as_version=4).cells
    shown = [out for cell in cells for out in cell.get("outputs", []) if out.output_type == "execute_result"]
    assert len(shown) > 6 and all(out.data.get("text/html") for out in shown)
