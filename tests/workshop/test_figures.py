"""``fit`` beside figures that others published; the workshop's benchmark has all of them."""

import pytest

from mic2e_bench import documents
from mic2e_bench.catalog import registry
from mic2e_bench.plan.settings import resolve
from mic2e_bench.workshop.proof import fit

# one rehearsal each; the others take minutes
QUICK = {("sdxl-blog", "fp16, model offload"), ("quantization-blog", "bnb-nf4")}
FIGURES = fit.figures()
TRIED = [one for one in FIGURES if (one.source, one.what) in QUICK]


@pytest.mark.parametrize("one", TRIED, ids=lambda one: f"{one.source} {one.what} {one.of}")
def test_published_figures_are_met(one):
    assert one.estimated() == pytest.approx(one.gib, rel=fit.LIMIT)


def test_every_figure_can_be_rehearsed():
    """Its settings are ones, its source says where and when; an estimate that is not held to a figure says why."""
    assert len(TRIED) == 3
    sources = documents.yaml_value(fit.FIGURES.read_text(encoding="utf-8"))["sources"]
    assert all({"title", "url", "date", "card", "setting"} <= source.keys() for source in sources.values())
    for one in FIGURES:
        resolve({**one.settings, "device": "cuda"}, registry.pipeline(one.pipeline), one.what)
        assert one.gib > 0 and one.counts in ("allocated", "reserved") and one.of in ("call", "loading", "process")
    assert [one.what for one in FIGURES if one.unexplained] == ["fp16, VAE slicing, sequential offload"]
