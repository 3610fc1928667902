"""Fewer evaluations of the denoiser: guidance stopped, other samplers, step caches."""

import re

import pytest
from toggling import baseline, build, fresh_is_untouched, run, shoot, trial

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.toggles import guidance_stop, scheduler, step_cache
from mic2e_bench.errors import Unavailable
from mic2e_bench.plan import conflicts

GUIDED = {"objectclear": 2.5, "sdxl-inpaint": 7.5, "z-image-turbo": 3.0}


def refused(name, **settings):
    return conflicts.find(trial(name, **settings).settings, registry.pipeline(name))


@pytest.mark.parametrize("name", GUIDED)
def test_guidance_stops_and_the_batch_is_halved(name):
    settings = {"guidance": GUIDED[name], "steps": 4}
    shot = run(name, guidance_stop=0.5, **settings)
    assert [batch for batch, _ in shot.build.witness.denoiser] == [2, 2, 1, 1]
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert shot.receipts["guidance"]["seen"] == GUIDED[name]
    assert shot.differs(baseline(name, **settings)) > 0


def test_guidance_stop_is_undone_by_the_next_trial():
    made, planned = build("objectclear", guidance_stop=0.5)
    shoot(made, planned)
    after = shoot(made, trial("objectclear"))
    assert after.off_by(baseline("objectclear")) == 0
    assert after.applied("guidance_stop")


def test_guidance_that_is_off_cannot_be_stopped():
    for name, off in (("objectclear", 1.0), ("sdxl-inpaint", 0.0), ("z-image-turbo", 0.0), ("flux-schnell", 3.0)):
        assert "no guidance that could be stopped" in refused(name, guidance=off, guidance_stop=0.5)
        assert not refused(name, guidance=off)
    shot = run("objectclear", guidance=1.0, guidance_stop=0.5)
    assert shot.receipts["guidance_stop"]["reason"] == "guidance was off from the first step"


def test_guided_steps_are_rounded_up_and_never_none():
    pairs = [(0.5, 4, 2), (0.5, 5, 3), (0.01, 4, 1), (1.0, 7, 7), (0.7, 10, 7)]
    assert [guidance_stop.guided_steps(share, steps) for share, steps, _ in pairs] == [want for *_, want in pairs]
    for wrong in (0, 1.1, True, "half"):
        with pytest.raises(ValueError, match="a share of the steps"):
            guidance_stop.parse(wrong, None)


# of the second one that calls the denoiser once a step, and those that call it more often
@pytest.mark.parametrize(
    ("name", "values"),
    [("objectclear", tuple(scheduler.SCHEDULERS["unet"])), ("sdxl-inpaint", ("ddim", "heun", "pndm"))],
)
def test_every_sampler_of_the_unet_pipelines_in_one_build(name, values):
    made, _ = build(name)
    calls = {}
    for value in values:
        shot = shoot(made, trial(name, scheduler=value, steps=4))
        assert [key for key in shot.receipts if not shot.applied(key)] == []
        calls[value] = len(shot.build.witness.denoiser)
    assert calls.pop("heun") == 7
    assert calls.pop("pndm") == 13
    assert set(calls.values()) == {4}
    assert shoot(made, trial(name)).off_by(baseline(name)) == 0  # the model's own is back


@pytest.mark.parametrize(("name", "same"), [("objectclear", "ddim"), ("sdxl-inpaint", "euler")])
def test_the_models_own_sampler_by_name_makes_the_same_image(name, same):
    assert run(name, scheduler=same).off_by(baseline(name)) == 0
    assert run(name, scheduler="dpm++2m").differs(baseline(name)) > 0


def test_samplers_for_flow_matching():
    assert run("flux-schnell", scheduler="flow-euler").off_by(baseline("flux-schnell")) == 0
    assert run("z-image-turbo", scheduler="flow-euler").off_by(baseline("z-image-turbo")) == 0
    shot = run("flux-schnell", scheduler="flow-unipc", steps=4)
    assert shot.receipts["scheduler"]["how"] == "UniPCMultistepScheduler, 4 timesteps, 4 denoiser calls"
    assert shot.applied("steps")
    assert "noise levels as a list" in refused("z-image-turbo", scheduler="flow-unipc")
    for name, wrong in (("flux-schnell", "ddim"), ("objectclear", "flow-euler"), ("objectclear", 3)):
        with pytest.raises(ValueError, match="one of default"):
            scheduler.parse(wrong, registry.pipeline(name))


@pytest.mark.parametrize(
    ("value", "calls"),
    [
        ("first-block:100", "6, 1, 1, 1"),
        ("pab:2", "6, 0, 6, 0"),
        ("taylorseer:2", "6, 6, 0, 6"),
        ("faster:2", "6, 6, 6, 0"),
    ],
)
def test_step_caches_of_flux_skip_attention(value, calls):
    made, planned = build("flux-schnell", step_cache=value, steps=4)
    first, second = shoot(made, planned), shoot(made, planned)
    receipt = first.receipts["step_cache"]
    ran = sum(map(int, calls.split(", ")))
    assert receipt["applied"]
    assert receipt["how"].endswith(f"{ran} of 24 attention projections ran, by call: {calls}")
    assert first.off_by(second) == 0  # nothing leaks from one image into the next
    assert first.differs(baseline("flux-schnell", steps=4)) > 0


def test_a_cache_that_skipped_nothing_was_not_in_force():
    shot = run("flux-schnell", step_cache="first-block:0.001")
    receipt = shot.receipts["step_cache"]
    assert (receipt["seen"], receipt["applied"]) == ("none", False)
    assert receipt["reason"].startswith("it skipped nothing")
    assert shot.off_by(baseline("flux-schnell")) == 0


def test_caches_where_there_are_none():
    assert "no enable_cache" in refused("objectclear", step_cache="pab:2")
    assert "cache-dit supports it" in refused("z-image-turbo", step_cache="first-block:0.1")
    assert not refused("z-image-turbo", step_cache="cache-dit:0.1")
    assert not refused("flux-schnell", step_cache="pab:2")


def test_cache_dit_is_named_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(step_cache.importlib.util, "find_spec", lambda name: None)
    assert "uv pip install cache-dit" in step_cache.missing("cache-dit:0.1", "cpu")
    assert not step_cache.missing("pab:2", "cpu")
    made, _ = build("flux-schnell")
    with pytest.raises(Unavailable, match="cache_dit is not installed"):
        step_cache.apply(made, "cache-dit:0.1")


def test_values_of_step_cache():
    asked = ("none", "first-block", "first-block:0.3", "pab", "taylorseer:4", "cache-dit")
    given = ["none", "first-block:0.1", "first-block:0.3", "pab:2", "taylorseer:4", "cache-dit:0.08"]
    assert [step_cache.parse(value, None) for value in asked] == given
    for wrong in ("pab:1", "pab:1.5", "pab:", "first-block:x", "sea", 2, True):
        with pytest.raises(ValueError, match=re.escape("first-block:THRESHOLD")):
            step_cache.parse(wrong, None)


def test_fresh_build():
    assert fresh_is_untouched("objectclear", "flux-schnell")
