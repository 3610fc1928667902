"""A preset's name stands at a point only where every setting is the preset's."""

import pytest

from mic2e_bench.catalog import registry
from mic2e_bench.plan import presets
from mic2e_bench.plan.settings import resolve
from mic2e_bench.tools.recommend import named
from mic2e_bench.tools.recommend.point import Point


def point(label="steps=8", **changes):
    pipeline = registry.pipeline("objectclear")
    settings = resolve(presets.settings_of("BALANCED", pipeline, "here"), pipeline, "here")
    return Point({"pipeline": "objectclear", **settings, **changes}, "a", label, {}, {})


def test_a_point_with_every_setting_of_a_preset_has_its_name_behind_its_label():
    (one,) = named.with_presets([point()])
    assert (one.label, one.presets) == ("steps=8 (BALANCED)", ("BALANCED",))
    (one,) = named.with_presets([point("BALANCED")])
    assert (one.label, one.presets) == ("BALANCED", ("BALANCED",))


@pytest.mark.parametrize(
    "changes", [{"precision": "fp32"}, {"steps": 9}, {"vae_tiling": True}, {"process": "per_call"}]
)
def test_where_one_setting_differs_it_has_none(changes):
    (one,) = named.with_presets([point(**changes)])
    assert (one.label, one.presets) == ("steps=8", ())


def test_a_preset_that_names_no_device_is_one_on_any():
    assert [one.presets for one in named.with_presets([point(device="cpu"), point(device="cuda")])] == [
        ("BALANCED",)
    ] * 2
