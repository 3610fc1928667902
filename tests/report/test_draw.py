"""The figures of made-up studies: where axes begin, what is said to be identical, how names are placed."""

import itertools
import json

import helpers
import made_records
import numpy as np
import pandas
import pytest
from matplotlib.text import Text

from mic2e_bench.records import record
from mic2e_bench.report import draw, figures, findings, placing, plots

NAMES = ("steps=8, attention=xformers-else-sliced, precision=bf16", "🦊 guidance=2.5 🎨", "שלום עולם resolution=512",
 "short", "a/b \"quoted\" <script>alert(1)</script>")  # fmt: skip


def study(folder, changed):
    """Findings of steps 2, 4, 8 and 20; ``changed`` gives what each record has instead, by steps."""
    made = made_records.resolve(folder, baseline={"steps": 20}, vary={"steps": [2, 4, 8, 20]})
    for trial in made.trials:
        steps = trial.settings["steps"]
        made_records.measured(made, folder / "results", trial, steps)
        path = record.path_of(folder / "results", made.name, trial.id)
        content = json.loads(path.read_text())
        for name, values in changed.get(steps, {}).items():
            content["quality"][name].update(values)
        helpers.rewrite(path, content)
    return findings.read(made, folder / "results")


def axes_of(drawn, words):
    return next(axes for axes in drawn.axes if words in axes.get_title(loc="left"))


def test_memory_starts_at_zero_and_holds_all_of_its_values(tmp_path):
    found = study(tmp_path, {})
    axes = axes_of(plots.overview(found), "peak RSS")
    low, high = axes.get_ylim()
    assert low == 0 and high > max(max(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 4)


def test_identical_pictures_are_called_so_and_have_no_number(tmp_path):
    found = study(tmp_path, {20: {"psnr": {"value": 100.0}}})
    panel = draw.Panel("psnr", "PSNR", equal=60.0)
    rows = {row["steps"]: row for _, row in found.trials.iterrows()}
    assert panel.height(rows[20]) == 60.0 and panel.height(rows[2]) == 32.0
    with figures.sheet(5, 4) as (_, (axes,)):
        draw.points(axes, panel, [(row["steps"], row) for row in rows.values()], 0, 1)
        draw.upright(axes, panel)
    ticks = [text.get_text() for text in axes.get_yticklabels()]
    assert ticks[-1] == "identical" and "100" not in ticks


def test_a_distance_that_floats_leave_is_zero_without_an_error_bar():
    row = pandas.Series({"id": "a", "lpips": 1.86e-15, "lpips_low": 0.0, "lpips_high": 2e-15})
    panel = draw.Panel("lpips", "LPIPS", "lpips_low", "lpips_high")
    assert panel.height(row) == 0.0
    assert np.isnan(draw.errors(panel, [row])).all()


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
@pytest.mark.parametrize("count", [3, 30, 300])
def test_no_name_lies_on_another_or_on_a_point(count):
    spots = np.random.default_rng(count).random((count, 2))
    with figures.sheet(8, 5) as (drawn, (axes,)):
        axes.plot(*spots.T, "o")
        named = [(x, y, NAMES[index % len(NAMES)]) for index, (x, y) in enumerate(spots)]
        left = placing.label(axes, named)
        figures.settle(drawn)
        places = axes.transData.transform(spots)
        boxes = [Text.get_window_extent(text).extents for text in axes.texts]  # without the line to the point
    assert len(boxes) == count - left >= 3
    for a, b in itertools.combinations(boxes, 2):
        assert (a[:2] >= b[2:]).any() or (b[:2] >= a[2:]).any()
    for box in boxes:
        assert not ((places > box[:2]) & (places < box[2:])).all(axis=1).any()


def test_of_many_trials_some_have_names_and_all_are_drawn(tmp_path):
    """One artist for all of a kind, whatever their number."""
    (made,), results = made_records.many(tmp_path, 200)
    found = findings.read(made, results)
    drawn = plots.overview(found)
    for axes in drawn.axes:
        assert 1 < len(axes.get_xticks()) <= draw.MOST_TICKS and len(axes.patches) == 0
        assert max(len(line.get_xdata()) for line in axes.lines) == 200
    assert len(plots.tradeoff(found).axes[0].texts) <= plots.MOST_FRONT


def test_a_cross_tells_where_no_value_is():
    rows = [pandas.Series({"id": str(i), "latency_s": np.nan, "status": "oom", "baseline": False}) for i in range(60)]
    with figures.sheet(8, 5) as (_, (axes,)):
        draw.gaps(axes, draw.Panel("latency_s", "latency"), list(enumerate(rows)))
    assert [len(line.get_xdata()) for line in axes.lines] == [60] and not axes.texts


def test_a_hollow_mark_is_what_did_not_run_as_asked():
    rows = [pandas.Series({"id": "a", "status": status}) for status in ("ok", "not_applied")]
    faces = [hollow for hollow, *_ in draw.by_face(list(enumerate(rows)))]
    assert faces == [False, True]
