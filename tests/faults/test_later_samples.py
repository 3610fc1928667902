"""Every picture of every call that is timed or stored is looked at, before anything hides what the model gave out."""

from dataclasses import replace
from types import SimpleNamespace

import faulty_workers
import helpers
import numpy as np
import pytest
import torch
from helpers import on_disk, tiny
from PIL import Image

from mic2e_bench.catalog import painted, registry
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.run import assemble, measure

NAN, INF = float("nan"), float("inf")
SIZE = 64, 64
MASK = Image.new("L", SIZE)
MASK.paste(255, (20, 20, 44, 44))
INSIDE = np.asarray(MASK) >= 128


@pytest.fixture(scope="module")
def build():
    """A live bundled pipeline in this process."""
    return assemble.make_build(helpers.study(tiny()).baseline)[0]


def measured(build, folder, **changes):
    """Of the second trial: the baseline's first picture would be made three times more."""
    protocol = {"warmup": 1, "repeats": 2, "seeds": [1, 2]}
    trial = helpers.study(tiny(protocol=protocol, vary={"resample": ["bicubic", "bilinear"]}, **changes)).trials[1]
    assemble.next_trial(build, trial)
    return measure.measure(build, trial, folder, lambda stage, share: None)


# ---- NaN in a call after the first: warm-up, two repeats, then an image for each seed

CALLS = {
    0: "the VAE decoded NaN or infinity for image in0 seed 1 in a timed call",
    2: "the VAE decoded NaN or infinity for image in0 seed 1 in a timed call",
    3: "the VAE decoded NaN or infinity for image in0 seed 1",
    4: "the VAE decoded NaN or infinity for image in0 seed 2",
}


def decoding(build, monkeypatch, change):
    """Have ``change(sample, number)`` change what the VAE decodes in place, numbered by its calls."""
    real, calls = build.pipe.vae.decode, []

    def decode(*args, **kwargs):
        sample = real(*args, **kwargs)[0].clone()
        change(sample, len(calls))
        calls.append(1)
        return (sample,)

    monkeypatch.setattr(build.pipe.vae, "decode", decode)


@pytest.mark.parametrize("number, value", [*((number, NAN) for number in CALLS), (2, INF)])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_not_a_number_in_any_call(number, value, build, tmp_path, monkeypatch):
    def spoil(sample, call):
        if call == number:
            sample[..., 0, 0] = value  # a speck, which ObjectClear's fusion hides

    decoding(build, monkeypatch, spoil)
    assert measured(build, tmp_path)["invalid"] == [CALLS[number]]
    assert "decode" in vars(build.pipe.vae) and build.latest  # the test's own is back in its place


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_not_a_number_in_one_image_of_a_batch(build, tmp_path, monkeypatch):
    def spoil(sample, call):
        sample[-1] = NAN

    decoding(build, monkeypatch, spoil)
    parts = measured(build, tmp_path, baseline={**tiny()["baseline"], "batch": 2})
    assert parts["invalid"][0] == "the VAE decoded NaN or infinity for image in0 seed 1"


@pytest.mark.parametrize("level, word", [(-1.0, "black"), (0.3, "of one colour")])
def test_a_hole_that_fusion_hides(level, word, build, tmp_path, monkeypatch):
    """The whole of a decoded picture is of one colour, and the stored one is not: the original is around it."""

    def flat(sample, call):
        if call == 4:
            sample[:] = level
            sample[:, 2] = -1

    decoding(build, monkeypatch, flat)
    parts = measured(build, tmp_path)
    shown = "of one colour" if level > -1 else word
    assert parts["invalid"] == [f"image in0 seed 2 is {shown} under its mask"]
    assert [image.get("fault") for image in parts["images"]] == [None, f"{shown} under its mask"]


def test_calls_hold_nothing_afterwards(build, tmp_path):
    assert measured(build, tmp_path)["invalid"] == []
    assert "decode" not in vars(build.pipe.vae) and build.faults == []


# ---- one colour that is right


def judged(frame, photo, pipeline="objectclear", images=None, model=None):
    """What is said of a decoded frame (height, width, 3; 0 to 255) of a photo."""
    sample = torch.from_numpy(np.array(frame, np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    build = Build(registry.pipeline(pipeline), model=model or {"source": "bundled"})
    images = images or [helpers.picture(SIZE)]
    return painted.faults(build, Item("photo", photo, MASK), 7, [{"sample": sample}], images)


def scene(ground, hole=(200, 30, 60)):
    made = np.full((64, 64, 3), ground, np.uint8)
    made[INSIDE] = hole
    made[:8] = np.arange(64)[None, :, None]  # something else at the top
    return made


FLAT = Image.fromarray(np.where(INSIDE[..., None], (200, 30, 60), (90, 90, 90)).astype(np.uint8))  # one object on it


@pytest.mark.parametrize("colour, word", [((90, 90, 90), ""), ((0, 0, 0), "black under its mask")])
def test_a_scene_of_one_colour(colour, word):
    assert judged(np.full((64, 64, 3), colour), FLAT)[1] == [word]


def test_a_frame_of_one_colour_is_judged_by_the_whole_picture():
    """Somewhere the gradient of the picture is black, too."""
    dark = helpers.picture(SIZE)
    assert judged(np.zeros((64, 64, 3)), dark)[1] == ["black under its mask"]


COLOURS = {
    "a black hole in a grey scene": ((90, 90, 90), (0, 0, 0), "black under its mask"),
    "a grey hole in a white scene": ((255, 255, 255), (128, 128, 128), "of one colour under its mask"),
    "white on a white wall": ((255, 255, 255), (255, 255, 255), ""),
    "near to the wall's colour": ((250, 240, 230), (240, 250, 235), ""),
    "black at night": ((0, 0, 0), (0, 0, 0), ""),
}


@pytest.mark.parametrize("what", COLOURS)
def test_one_colour_under_a_mask_is_judged_by_what_is_around_it(what):
    ground, hole, word = COLOURS[what]
    lines, words = judged(scene(ground, hole), Image.fromarray(scene(ground)))
    assert words == [word] and lines == ([f"image photo seed 7 is {word}"] if word else [])


def test_random_weights_paint_no_pictures_anyway():
    flat = np.zeros((64, 64, 3))
    assert judged(flat, helpers.picture(SIZE), model={"source": "random"}) == ([], [""])
    assert judged(flat, helpers.picture(SIZE), images=[Image.new("RGB", SIZE)])[1] == ["black"]


# ---- a segmenter

SCORES = ("pred_masks", "pred_logits", "iou_scores")


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("value", [NAN, -INF])
def test_a_score_of_a_segmenter_that_is_no_number(name, value):
    class Model(torch.nn.Module):
        def forward(self, value):
            scores = {each: torch.zeros(2, 3) for each in SCORES}
            scores[name][1, 2] = value
            return SimpleNamespace(**scores)

    build = Build(registry.pipeline("sam3"), pipe=SimpleNamespace(model=Model()), model={"source": "bundled"})
    empty = [Image.new("L", SIZE)]
    for given, lines in ((value, ["the model scored NaN or infinity for image photo seed 7"]), (0.0, [])):
        with painted.kept(build) as made:
            build.pipe.model(given)
        assert painted.faults(build, Item("photo", helpers.picture(SIZE)), 7, made, empty) == (lines, [""])
    assert "forward" not in vars(build.pipe.model)


# ---- in processes: rounds, and a process for each call


def test_a_repeat_in_rounds(tmp_path, monkeypatch):
    """Of the second trial: a warm-up, the count of kernels, the image; then two repeats, which are black."""
    helpers.workers(monkeypatch, faulty_workers.black_in_two_calls)
    protocol = {"warmup": 1, "repeats": 2, "seeds": [1], "interleave": True}
    helpers.run(tiny(protocol=protocol, metrics=[]), tmp_path)
    found = on_disk(tmp_path)
    assert found["baseline"]["status"] == "ok"
    assert (found["steps=2"]["status"], found["steps=2"]["reason"]) == (
        "invalid", "image in0 seed 1 is black in a timed call",
    )  # fmt: skip


def test_a_process_for_each_call(tmp_path, monkeypatch):
    helpers.workers(monkeypatch, faulty_workers.always_black)
    protocol = {"warmup": 0, "repeats": 1, "seeds": [1], "process": "per_call"}
    helpers.run(tiny(protocol=protocol, vary=None, metrics=[]), tmp_path)
    (one,) = on_disk(tmp_path).values()
    assert (one["status"], one["reason"]) == ("invalid", "image in0 seed 1 is black")
    assert "faults" not in one["timing"] and one["timing"]["restarts"]["call_s"]


def test_nothing_of_it_is_in_the_clock(build, monkeypatch):
    """What is looked at is looked at when the clock has stopped."""
    item, order = Item("photo", helpers.picture(SIZE), MASK), []
    real = measure.probes.clock

    class Clock:
        def __init__(self, device):
            self.inner = real(device)

        def __enter__(self):
            order.append("on")
            return self.inner.__enter__()

        def __exit__(self, *error):
            order.append("off")
            return self.inner.__exit__(*error)

    monkeypatch.setattr(measure.probes, "clock", Clock)

    def looked(*given):
        order.append("looked")
        return [], []

    monkeypatch.setattr(painted, "faults", looked)
    pipeline = replace(build.pipeline, call=lambda *given: [helpers.picture(SIZE)])
    monkeypatch.setattr(build, "pipeline", pipeline)
    measure.timed_call(build, item, 1)
    assert order == ["on", "off", "looked"]
