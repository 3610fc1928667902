"""A folder of files becomes a table; what is broken or double is an error."""

import sys

import pytest

from mic2e_bench import registry
from mic2e_bench.errors import BadInput
from mic2e_bench.metric import Metric

METRIC = (
    "from mic2e_bench.metric import Metric\nM = Metric('{}', 'record', 's', 'lower', 'about', lambda record: 1.0)\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    package = tmp_path / "some_metrics"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.startswith("some_metrics")]:
        del sys.modules[name]


def test_a_new_file_is_found(folder):
    (folder / "a.py").write_text(METRIC.format("first"))
    (folder / "b.py").write_text("from some_metrics.a import M\n" + METRIC.format("second").replace("M =", "N ="))
    assert list(registry.collect("some_metrics", Metric)) == ["first", "second"]  # an imported one counts once


def test_a_broken_file_raises(folder):
    (folder / "a.py").write_text(METRIC.format("first"))
    (folder / "b.py").write_text("import a_module_that_is_not_there")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        registry.collect("some_metrics", Metric)


def test_two_of_one_name_raise(folder):
    for name in "ab":
        (folder / f"{name}.py").write_text(METRIC.format("same"))
    with pytest.raises(ValueError, match=r"some_metrics\.b: a second Metric is named 'same'"):
        registry.collect("some_metrics", Metric)


def test_what_there_is():
    assert set(registry.pipelines()) >= {"objectclear", "sdxl-inpaint", "flux-schnell", "z-image-turbo", "sam3"}
    assert set(registry.toggles()) >= {
        "precision",
        "steps",
        "resolution",
        "guidance",
        "resample",
        "attention",
        "device",
    }
    assert set(registry.metrics()) >= {"lpips", "ssim", "psnr", "iou"}
    phases = [toggle.phase for toggle in registry.toggles().values()]
    assert phases == sorted(phases)
    with pytest.raises(BadInput, match="Did you mean 'sam3'"):
        registry.pipeline("sam")


@pytest.mark.parametrize("name", registry.toggles())
def test_every_toggle_says_what_it_is(name):
    toggle = registry.toggles()[name]
    assert toggle.values and toggle.about and toggle.source and toggle.cost in ("none", "rounding", "real")
    for pipeline in filter(toggle.fits, registry.pipelines().values()):
        default = toggle.parse(pipeline.defaults.get(name, toggle.default), pipeline)
        assert toggle.parse(default, pipeline) == default
