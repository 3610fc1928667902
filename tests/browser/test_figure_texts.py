"""The texts of the figures as a browser shows them: none lies on another, none is cut off."""

import itertools
import math

import made_records
import pytest

from mic2e_bench.report import figures, findings, plots

# Each text's corners on the page, in order round it, so that a turned one is a turned rectangle.
TEXTS = """[...document.querySelectorAll('svg.drawn')].map(svg => {
  const whole = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')].filter(one => one.textContent.trim()).map(one => {
    const box = one.getBBox(), to = one.getScreenCTM();
    const at = (x, y) => { const p = new DOMPoint(x, y).matrixTransform(to); return [p.x, p.y]; };
    const far = [box.x + box.width, box.y + box.height];
    return {text: one.textContent, size: parseFloat(getComputedStyle(one).fontSize) * Math.hypot(to.a, to.b),
            corners: [at(box.x, box.y), at(far[0], box.y), at(far[0], far[1]), at(box.x, far[1])]};
  });
  return {whole: [whole.left, whole.top, whole.right, whole.bottom], texts};
})"""


def overlap(a, b):
    """By how many pixels two rectangles, turned or not, lie on each other: the least way that parts them."""
    least = math.inf
    for one in (a, b):
        for (x0, y0), (x1, y1) in itertools.pairwise(one[:3]):
            across, up = (x1 - x0) / math.hypot(x1 - x0, y1 - y0), (y1 - y0) / math.hypot(x1 - x0, y1 - y0)
            mine, its = ([x * across + y * up for x, y in each] for each in (a, b))
            least = min(least, max(mine) - min(its), max(its) - min(mine))
    return least


def lines(folder):
    made = made_records.resolve(folder, baseline={"steps": 20}, vary={"steps": [1, 2, 4, 8, 20], "guidance": [1, 2.5]})
    return made, [trial.settings["steps"] for trial in made.trials]


def bars(folder):
    """Names so long that they are turned."""
    trials = [{"steps": n, "guidance": 1 + n / 8, "scheduler": "euler"} for n in range(1, 17)]
    made = made_records.resolve(folder, baseline={"steps": 20}, trials=trials)
    return made, range(1, 1 + len(made.trials))


def gaps(folder):
    """Half of it failed."""
    made = made_records.resolve(folder, baseline={"steps": 20}, vary={"steps": [1, 2, 4, 8, 20, 30]})
    return made, [trial.settings["steps"] if index % 2 == 0 else None for index, trial in enumerate(made.trials)]


def many(folder):
    trials = [{"steps": 1 + n % 30, "guidance": 1 + n // 30} for n in range(1, 125)]
    made = made_records.resolve(folder, baseline={"steps": 1, "guidance": 1.0}, trials=trials)
    return made, [1 + index * 37 % 101 for index in range(len(made.trials))]


def page_of(folder, of):
    made, numbers = of(folder)
    for trial, number in zip(made.trials, numbers, strict=True):
        if number is None:
            made_records.failed(folder / "results", trial, "oom", "out of memory")
        else:
            made_records.measured(made, folder / "results", trial, number)
    found = findings.read(made, folder / "results")
    drawn = [figures.html(figure, "a figure", "none") for figure in (plots.overview(found), plots.tradeoff(found))]
    path = folder / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>figures</title>{''.join(drawn)}", encoding="utf-8")
    return path


@pytest.mark.parametrize("of", [lines, bars, gaps, many])
def test_no_text_lies_on_another_and_none_is_cut_off(tmp_path, visit, of):
    path = page_of(tmp_path, of)
    with visit(width=1300) as seen:
        seen.page.goto(path.as_uri())
        shown = seen.page.evaluate(TEXTS)
        assert seen.quiet()
    assert len(shown) == 2
    for figure in shown:
        left, top, right, bottom = figure["whole"]
        assert len(figure["texts"]) > 8
        cut = [
            one["text"]
            for one in figure["texts"]
            if not all(left - 1 <= x <= right + 1 and top - 1 <= y <= bottom + 1 for x, y in one["corners"])
        ]
        assert not cut
        pairs = itertools.combinations(figure["texts"], 2)
        by = [(a["text"], b["text"], overlap(a["corners"], b["corners"])) for a, b in pairs]
        assert not [one for one in by if one[2] > 1]
