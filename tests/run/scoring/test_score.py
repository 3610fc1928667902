"""Scores of stored images: against the baseline and the truth, by region, with noise floor; and what goes wrong."""

import dataclasses
import hashlib
import json
import shutil
import sys

import flip_evaluator
import helpers
import numpy as np
import pytest
from PIL import Image, ImageFilter

from mic2e_bench.catalog import registry
from mic2e_bench.machine.environment import here
from mic2e_bench.plan import params
from mic2e_bench.records import comparable, record
from mic2e_bench.report import frame
from mic2e_bench.run import forkserver
from mic2e_bench.run.scoring import entries, score

SIZE = (96, 80)


def study(tmp_path, pipeline="objectclear", images=2, seeds=(1, 2), **changes):
    """A study of a baseline and two more trials on inputs with known answers."""
    folder = helpers.inputs(tmp_path / "in", [SIZE] * images)
    for index in range(images):
        clean(index).save(tmp_path / "in" / f"in{index}.truth.png")
        shadow = Image.new("L", SIZE)
        shadow.paste(255, (20, 40, 44, 50))
        shadow.save(tmp_path / "in" / f"in{index}.shadow.png")
    content = {"pipeline": pipeline, "inputs": folder, "study": "s", "protocol": {"seeds": list(seeds)}, **changes}
    sweep = {"vary": {"precision": ["bf16", "fp16"]}} if pipeline == "sam3" else {"vary": {"steps": [1, 2]}}
    return params.resolve_study({name: value for name, value in {**sweep, **content}.items() if value is not None})


def clean(index):
    """The known answer of an input: it without its disc."""
    return Image.linear_gradient("L").resize(SIZE).convert("RGB")


def stored(folder, image):
    """An image as a record refers to it."""
    path = folder / "images" / "new.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(path.with_name(f"{sha256[:20]}.png"))
    return {"file": f"images/{sha256[:20]}.png", "sha256": sha256}


def measured(study, results, make, again=None, status="ok", **floor):
    """Records of all trials whose images are ``make(number of the trial, number of the input, seed)``.

    ``again`` and ``floor`` are the baseline's first image once more: repeated, and by the kinds of rounding.
    """
    for number, trial in enumerate(study.trials):
        images = [
            {"input": name, "seed": seed, **stored(results / "s", make(number, index, seed))}
            for index, name in enumerate(trial.inputs["items"])
            for seed in trial.protocol["seeds"]
        ]
        if again and trial is study.baseline:
            images[0]["again"] = stored(results / "s", again)
        if floor and trial is study.baseline:
            images[0]["floor"] = {name: stored(results / "s", image) for name, image in floor.items()}
        record.write(results, record.make(trial, status, images=images, environment=dict(here("cpu"))))
    return results


def blurred(number, index, seed):
    """A good answer, blurred more in every trial, a bit grainy by the seed."""
    image = np.asarray(clean(index).filter(ImageFilter.GaussianBlur(3 * number))).astype(int)
    noise = np.random.default_rng(seed).integers(-3, 4, image.shape)
    return Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8))


def quality(study, results, trial):
    return record.read(record.path_of(results, "s", study.trials[trial].id)).quality


@pytest.fixture
def inline(monkeypatch):
    """Score in this process: no child to start. What a child reads once is read again for every scoring."""

    class Ended:
        exitcode = 0
        kill = join = close = staticmethod(lambda: None)

    def call(target, log, *arguments):
        entries.forget()
        sent = []
        pipe = Ended()
        pipe.send = sent.append
        target(*arguments, pipe)
        pipe.recv = lambda: sent.pop(0)
        return Ended(), pipe

    monkeypatch.setattr(forkserver, "call", call)
    monkeypatch.setattr(score, "computed_before", {})


def test_values_are_those_of_the_metrics_and_means_over_images(tmp_path, inline):
    one = study(tmp_path)
    results = measured(one, tmp_path / "out", blurred)
    assert score.studies([one], results) == []
    found = quality(one, results, 1)
    pictures = [
        [np.asarray(blurred(number, index, seed)) / np.float32(255) for index in range(2) for seed in (1, 2)]
        for number in (0, 1)
    ]
    for name in ("lpips", "ssim", "psnr"):
        metric = registry.metrics()[name]
        values = [metric.compute(b, a) for a, b in zip(*pictures, strict=True)]
        entry = found[name]
        # the ratio of all squared errors, not the mean of ratios
        mean = np.mean(values) if name != "psnr" else -10 * np.log10(np.mean([10 ** (-v / 10) for v in values]))
        assert entry["value"] == pytest.approx(mean, rel=1e-5)
        assert (entry["unit"], entry["better"], entry["n"], entry["pairs"]) == (metric.unit, metric.better, 4, 4)
        assert entry["against"] == one.baseline.id
        assert entry["ci95"] is None  # of two scenes
        assert (entry["told"], entry["visible"]) == ("too few", None)
    assert "stand-in" in found["lpips"]["backbone"]
    assert found["ssim"]["backbone"] is None
    best = quality(one, results, 0)
    assert (best["lpips"]["value"], best["psnr"]["value"], best["quality"]["value"]) == (0, 100, 100)
    assert best["lpips"]["told"] == "same"
    assert quality(one, results, 2)["quality"]["value"] < found["quality"]["value"] < 100
    assert found["quality"]["backbone"] == "LDR-FLIP, 67 pixels per degree"  # never a stand-in's


def test_what_was_computed_once_is_not_computed_again_and_changes_no_score(tmp_path, inline, monkeypatch):
    """Another trial of a study needs the values of its own pictures alone: those of the baseline's noise are known."""
    one = study(tmp_path)
    results = measured(one, tmp_path / "out", blurred)
    asked = []
    evaluate = flip_evaluator.evaluate
    monkeypatch.setattr(flip_evaluator, "evaluate", lambda *of, **how: asked.append(1) or evaluate(*of, **how))
    first, second = (dataclasses.replace(one, trials=(one.trials[0], one.trials[number])) for number in (1, 2))
    assert score.studies([first], results) == []
    before, asked[:] = len(asked), []
    assert score.studies([second], results) == []
    assert len(asked) == 4 < before  # its two different pictures, beside the baseline's and beside the truth
    found = quality(one, results, 2)
    shutil.rmtree(results)
    monkeypatch.setattr(score, "computed_before", {})
    measured(one, tmp_path / "out", blurred)
    assert score.studies([one], results) == []
    assert quality(one, results, 2) == found


def test_regions_and_truth(tmp_path, inline):
    """A trial that only changes the inside is equal outside, and against the truth it is told from a good answer."""
    one = study(tmp_path, metrics=["psnr", "lpips"], seeds=(1, 2, 3))

    def make(number, index, seed):
        image = clean(index)
        if number:
            image.paste((255, 0, 0), (20, 20, 30, 45))  # within the mask, down to its shadow
        return image

    results = measured(one, tmp_path / "out", make, ulp=clean(0))
    score.studies([one], results)
    good, bad = quality(one, results, 0), quality(one, results, 1)
    assert good["psnr.truth"]["value"] == 100
    assert good["quality.truth"]["value"] == 100
    assert bad["psnr.truth.inside"]["value"] < 15
    assert bad["psnr.truth.outside"]["value"] == bad["psnr.outside"]["value"] == bad["psnr.ring"]["value"] == 100
    assert bad["lpips.inside"]["value"] > bad["lpips"]["value"] > bad["lpips.outside"]["value"]
    assert bad["psnr.truth"]["against"] == "truth"
    assert (bad["psnr.truth"]["told"], good["psnr.truth"]["told"]) == ("visible", "same")
    entry = bad["lpips.truth"]
    assert entry["difference"] == pytest.approx(entry["value"] - good["lpips.truth"]["value"])
    assert entry["difference_ci95"] == pytest.approx([entry["difference"]] * 2)  # each picture lost the same
    assert (entry["pairs"], bad["quality.truth"]["against"]) == (6, "truth")


def lifted(levels):
    """Images that are so many grey levels brighter in each trial."""
    return lambda number, index, seed: clean(index).point(lambda value: value + levels * number)


@pytest.mark.parametrize(
    "levels, seeds, floor, told, floor_of",
    [
        (0.5, 3, {}, "rounding", "one grey level brighter"),  # nobody sees it, whatever rounding does
        (6, 3, {}, "unknown", "one grey level brighter"),  # and nobody measured what rounding does
        (6, 3, {"again": 20}, "rounding", "a repeat"),  # that is another picture
        (6, 3, {"again": 0}, "unknown", "one grey level brighter"),  # an equal one is no floor
        (6, 3, {"ulp": 0}, "visible", "one grey level brighter"),
        (6, 3, {"ulp": 4, "kernel": 20, "batch": 0}, "rounding", "another attention kernel"),
        (6, 2, {"ulp": 0}, "too few", "one grey level brighter"),
        (0.5, 2, {"ulp": 0}, "too few", "one grey level brighter"),
        (0, 1, {}, "same", "one grey level brighter"),
    ],
)
def test_what_is_told_of_a_difference(tmp_path, inline, levels, seeds, floor, told, floor_of):
    """Two inputs with so many seeds; rounding changes the baseline's first image by so many grey levels."""
    one = study(tmp_path, metrics=["psnr", "flip"], seeds=range(seeds))
    again = {name: clean(0).point(lambda value, by=by: value + by) for name, by in floor.items()}
    results = measured(one, tmp_path / "out", lifted(levels), **again)
    score.studies([one], results)
    found = quality(one, results, 1)
    assert {found[name]["told"] for name in ("psnr", "flip", "quality")} == {told}
    assert found["psnr"]["floor_of"] == floor_of
    assert found["psnr"]["visible"] is {"same": False, "rounding": False, "visible": True}.get(told)
    assert comparable.told(record.read(record.path_of(results, "s", one.trials[1].id))) == told


def test_another_seed_is_not_rounding(tmp_path, inline):
    one = study(tmp_path, metrics=["psnr"], seeds=range(3))
    make = lambda n, i, seed: clean(i).point(lambda v: v + 6 * n + 20 * seed)  # noqa: E731
    results = measured(one, tmp_path / "out", make, ulp=make(0, 0, 0))
    score.studies([one], results)
    assert quality(one, results, 1)["psnr"]["told"] == "visible"


@pytest.mark.parametrize("nearer, told", [(True, "rounding"), (False, "visible")])
def test_what_is_nearer_to_float32_than_the_baseline_is_not_worse(tmp_path, inline, nearer, told):
    """The baseline is 8 levels off; a setting 6 levels off on the other side is far from it, and no worse."""
    trials = [{"precision": "fp32"}, {"steps": 4}]
    one = study(
        tmp_path, metrics=["lpips", "psnr"], seeds=range(3), vary=None, baseline={"precision": "bf16"}, trials=trials
    )
    off = [8, 0, -6 if nearer else -12]
    make = lambda number, index, seed: clean(index).point(lambda v: 40 + 0.5 * v + off[number])  # noqa: E731
    results = measured(one, tmp_path / "out", make, ulp=make(0, 0, 0))
    assert score.studies([one], results) == []
    found = quality(one, results, 2)
    assert found["psnr"]["told"] == found["quality"]["told"] == told
    entry = found["psnr.float32"]
    assert (entry["against"], entry["pairs"]) == ("float32", 6)
    assert (entry["difference"] > 0) is nearer
    assert entry["difference"] == found["psnr"]["difference"]
    assert quality(one, results, 1)["psnr.float32"]["value"] == 100
    assert [comparable.is_baseline(one) for one in records_of(results, one)] == [True, False, False]


def records_of(results, study):
    return [record.read(record.path_of(results, "s", trial.id)) for trial in study.trials]


def test_without_the_package_flip_is_named_and_scored_when_it_is_there(tmp_path, inline, monkeypatch):
    one = study(tmp_path, metrics=["flip", "psnr"])
    results = measured(one, tmp_path / "out", blurred)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "flip_evaluator", None)
        assert any("flip-evaluator is not installed" in problem for problem in score.studies([one], results))
        found = quality(one, results, 1)
        assert (found["flip"]["value"], found["quality"]["value"]) == (None, None)
        assert comparable.told(records_of(results, one)[1]) == "too few"  # by what was scored
    assert score.studies([one], results) == []
    assert quality(one, results, 1)["flip"]["value"] > 0


def test_generation_is_compared_at_the_reference_size(tmp_path, inline):
    one = study(tmp_path, "flux-schnell", metrics=["lpips", "psnr"], baseline={"resolution": 64})
    pictures = [helpers.picture(SIZE, 10 * seed) for seed in range(4)]

    def make(number, index, seed):
        image = pictures[2 * index + seed - 1]
        return image.resize((48, 40)) if number == 1 else image

    results = measured(one, tmp_path / "out", make)
    score.studies([one], results)
    found = quality(one, results, 1)
    assert found["lpips"]["resized"] == "48x40 to 96x80"
    assert 0 < found["quality"]["value"] < 100
    assert not [key for key in found if "truth" in key or "inside" in key or "float32" in key]
    assert found["psnr"]["floor_of"] == "one grey level brighter"


def test_inpainting_is_right_where_it_keeps_the_shadow(tmp_path, inline):
    """Outside the mask the right answer of an inpainting is the input, shadow and all."""
    one = study(tmp_path, "sdxl-inpaint", metrics=["psnr"])

    def make(number, index, seed):
        return Image.composite(clean(index), helpers.picture(SIZE, index), helpers.mask(SIZE))

    results = measured(one, tmp_path / "out", make)
    score.studies([one], results)
    assert quality(one, results, 1)["psnr.truth"]["value"] == 100


def test_masks_are_scored_by_their_overlap(tmp_path, inline):
    one = study(tmp_path, "sam3", seeds=[1])
    assert one.metrics == ("iou",)
    results = measured(one, tmp_path / "out", lambda n, i, s: helpers.mask(SIZE) if n < 2 else Image.new("L", SIZE))
    score.studies([one], results)
    assert {key: entry["value"] for key, entry in quality(one, results, 1).items()} == {"iou": 1, "iou.truth": 1}
    assert {key: entry["value"] for key, entry in quality(one, results, 2).items()} == {"iou": 0, "iou.truth": 0}


def test_a_mask_that_differs_by_less_than_its_edge_is_no_visible_difference(tmp_path, inline):
    """The small disc has 800 pixels, 100 of them at its edge; one that is gone is not seen, the half of it is."""
    one = study(tmp_path, "sam3", images=5, seeds=[1])

    def make(number, index, seed):
        mask = helpers.mask(SIZE)
        mask.paste(0, (0, 0, *[(0, 0), (12, 24), (24, 40)][number]))
        return mask

    results = measured(one, tmp_path / "out", make, ulp=make(0, 0, 1))
    score.studies([one], results)
    assert [quality(one, results, number)["iou"]["told"] for number in range(3)] == ["same", "rounding", "visible"]
    assert quality(one, results, 1)["iou"]["floor_of"] == "half a pixel at the edge"
    assert quality(one, results, 1)["iou"]["value"] < 1


def test_scoring_twice_does_nothing_and_what_changed_is_scored_again(tmp_path, inline, monkeypatch):
    one = study(tmp_path, metrics=["psnr", "ssim"])
    results = measured(one, tmp_path / "out", blurred)
    score.studies([one], results)
    before = helpers.frozen(results, "s")
    score.studies([one], results)
    assert helpers.frozen(results, "s") == before
    old = quality(one, results, 1)
    more = study(tmp_path, metrics=["psnr", "ssim", "ms_ssim"])
    assert [problem for problem in score.studies([more], results) if "at least 161 pixels" in problem]
    new = quality(one, results, 1)
    assert {key: new[key] for key in old} == old
    assert "96x80" in new["ms_ssim"]["problem"]
    assert score.studies([more], results) == []  # what a metric cannot do is said once
    changed = record.read(record.path_of(results, "s", one.trials[1].id)).raw
    changed["images"][0] |= stored(results / "s", blurred(2, 0, 1))
    helpers.store(results, changed)
    score.studies([one], results)
    assert quality(one, results, 1)["psnr"]["value"] < old["psnr"]["value"]
    clean(0).rotate(180).save(tmp_path / "in" / "in0.truth.png")
    score.studies([one], results)
    assert quality(one, results, 0)["psnr.truth"]["value"] < 30


def test_pictures_of_random_weights_that_were_not_kept_are_said_in_words(tmp_path, inline):
    one = study(tmp_path, metrics=["psnr", "lpips"], model="random")
    results = measured(one, tmp_path / "out", blurred)
    shutil.rmtree(results / "s" / "images")
    problems = score.studies([one], results)
    assert len(problems) == len(one.trials)
    assert all(problem.endswith("random weights: the picture was not kept") for problem in problems)
    assert quality(one, results, 1)["psnr"]["value"] is None


def test_what_cannot_be_scored_is_named(tmp_path, inline, capsys):
    one = study(tmp_path, metrics=["psnr"])
    results = measured(one, tmp_path / "out", blurred)
    images = record.read(record.path_of(results, "s", one.trials[1].id)).images
    lost = results / "s" / images[0]["file"]
    kept = lost.read_bytes()
    lost.unlink()
    (problem,) = score.studies([one], results)
    assert str(lost) in problem and "is missing" in problem and one.trials[1].label in problem
    assert problem in capsys.readouterr().err
    found = quality(one, results, 1)
    assert found["psnr"]["value"] is None
    assert str(lost) in found["psnr"]["problem"]
    assert quality(one, results, 2)["psnr"]["value"] > 0
    lost.write_bytes(kept[:500])
    assert "is not a readable image" in score.studies([one], results)[0]
    lost.write_bytes(kept)
    assert score.studies([one], results) == []
    assert "problem" not in quality(one, results, 1)["psnr"]


def test_without_a_baseline_the_truth_remains(tmp_path, inline):
    one = study(tmp_path, metrics=["psnr"])
    results = measured(one, tmp_path / "out", blurred)
    path = record.path_of(results, "s", one.baseline.id)
    helpers.rewrite(path, {**json.loads(path.read_text()), "status": "oom"})
    assert score.studies([one], results) == ["s: the baseline was not measured, so there is nothing to compare with"]
    found = quality(one, results, 1)
    assert "psnr" not in found
    assert found["psnr.truth"]["value"] > 10
    assert found["psnr.truth"]["visible"] is None


def test_the_child_scores_without_torch_here(tmp_path):
    """The real child; one that dies is named, with where it says why."""
    import subprocess
    import sys

    one = study(tmp_path)
    results = measured(one, tmp_path / "out", blurred)
    script = f"""
import os, sys
from pathlib import Path
from mic2e_bench.plan import params
from mic2e_bench.run.scoring import score
if __name__ == "__main__":
    one = params.resolve_study({dict(one.params)!r})
    assert score.studies([one], Path({str(results)!r})) == []
    assert "torch" not in sys.modules
    score.scores = os._exit
    score.VERSION += 1
    for problem in score.studies([one], Path({str(results)!r})):
        print(problem)
"""
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert "in stage: score; see logs/score.log" in done.stdout
    assert quality(one, results, 2)["quality"]["value"] < 100
    table, damaged = frame.load(results)
    assert damaged == []
    assert list(table["baseline"]) == [id == one.baseline.id for id in table["id"]]
