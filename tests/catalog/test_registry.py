"""A folder of files becomes a table; what is broken or double is an error."""

import subprocess
import sys

import helpers
import pytest

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.toggle import Phase, Toggle
from mic2e_bench.errors import BadInput

IMPORT = "from mic2e_bench.catalog.metric import Metric"
METRIC = IMPORT + "\nM = Metric('{}', 'record', 's', 'lower', 'about', lambda record: 1.0)\n"


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


def toggle(name, phase=Phase.MODIFY, after=()):
    nothing = lambda *given: None  # noqa: E731
    return Toggle(name, phase, "", None, nothing, nothing, nothing, "none", "", "", after)


def order(*toggles):
    return list(registry.in_order({one.name: one for one in toggles}))


def test_toggles_are_applied_by_phase_then_after_those_they_name_then_by_name():
    late = toggle("a", Phase.CALL)
    assert order(late, toggle("c"), toggle("b", after=("c",)), toggle("d")) == ["c", "b", "d", "a"]
    assert order(toggle("b", after=("c",)), toggle("c", after=("d",)), toggle("d"), late) == ["d", "c", "b", "a"]
    assert order(toggle("b", after=("z",)), toggle("z", Phase.LOAD)) == ["z", "b"]
    names = list(registry.toggles())
    for name, one in registry.toggles().items():
        assert all(names.index(before) < names.index(name) for before in one.after), name
    assert names.index("fused_qkv") < names.index("quantize")


ORDERS = {
    "toggle b: after: unknown toggle 'aa'. Did you mean 'a'? Known: a, b.": [toggle("a"), toggle("b", after=("aa",))],
    "toggle a: after: 'b' is applied in CALL, which comes after MODIFY.": [
        toggle("a", after=("b",)),
        toggle("b", Phase.CALL),
    ],
    "toggles a, b: each is to be applied after another of them; take one 'after' away.": [
        toggle("a", after=("b",)),
        toggle("b", after=("a",)),
        toggle("c", Phase.CALL),
    ],
}


@pytest.mark.parametrize("said", ORDERS)
def test_an_order_that_cannot_be_is_one_line(said):
    with pytest.raises(BadInput) as refused:
        order(*ORDERS[said])
    assert str(refused.value) == said


def test_a_plan_with_an_order_that_cannot_be_ends_with_2(tmp_path):
    """A toggle's file is somebody's to write: no traceback, and nothing is planned."""
    path = helpers.file(tmp_path / "study.yaml", helpers.tiny())
    program = (
        "import dataclasses, sys; from mic2e_bench import cli; from mic2e_bench.catalog.toggles import steps\n"
        "steps.STEPS = dataclasses.replace(steps.STEPS, after=('step',))\n"
        "sys.exit(cli.main(['plan', sys.argv[1]]))"
    )
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "toggle steps: after: unknown toggle 'step'. Did you mean 'steps'?" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
