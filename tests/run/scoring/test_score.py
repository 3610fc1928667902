"""Scores of stored images: against the baseline and the truth, by region, with noise floor; and what goes wrong."""

import hashlib
import json
import shutil

import helpers
import numpy as np
import pytest
from PIL import Image, ImageFilter

from mic2e_bench.catalog import registry
from mic2e_bench.machine.environment import here
from mic2e_bench.plan import params
from mic2e_bench.records import frame, record
from mic2e_bench.run import assemble, forkserver
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
    return params.resolve_study({**sweep, **content})


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


def measured(study, results, make, again=None, status="ok"):
    """Records of all trials whose images are ``make(number of the trial, number of the input, seed)``."""
    for number, trial in enumerate(study.trials):
        images = [
            {"input": name, "seed": seed, **stored(results / "s", make(number, index, seed))}
            for index, name in enumerate(trial.inputs["items"])
            for seed in trial.protocol["seeds"]
        ]
        if again and trial is study.baseline:
            images[0]["again"] = stored(results / "s", again)
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
        monkeypatch.setattr(assemble, "die_with_parent", lambda: None)
        sent = []
        pipe = Ended()
        pipe.send = sent.append
        target(*arguments, pipe)
        pipe.recv = lambda: sent.pop(0)
        return Ended(), pipe

    monkeypatch.setattr(forkserver, "call", call)


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
        assert entry["value"] == pytest.approx(np.mean(values), rel=1e-5)
        assert (entry["unit"], entry["better"], entry["n"]) == (metric.unit, metric.better, 4)
        assert entry["against"] == one.baseline.id
        assert entry["ci95"] is None  # of two scenes
    assert "stand-in" in found["lpips"]["backbone"]
    assert found["ssim"]["backbone"] is None
    best = quality(one, results, 0)
    assert (best["lpips"]["value"], best["psnr"]["value"], best["quality"]["value"]) == (0, 100, 100)
    assert quality(one, results, 2)["quality"]["value"] < found["quality"]["value"] < 100
    assert found["quality"]["anchor"] == "the untouched input"


def test_regions_and_truth(tmp_path, inline):
    """A trial that only changes the inside is equal outside, and against the truth it is told from a good answer."""
    one = study(tmp_path, metrics=["psnr", "lpips"])

    def make(number, index, seed):
        image = clean(index)
        if number:
            image.paste((255, 0, 0), (20, 20, 30, 45))  # within the mask, down to its shadow
        return image

    results = measured(one, tmp_path / "out", make)
    score.studies([one], results)
    good, bad = quality(one, results, 0), quality(one, results, 1)
    assert good["psnr.truth"]["value"] == 100
    assert good["quality.truth"]["value"] == 100
    assert bad["psnr.truth.inside"]["value"] < 15
    assert bad["psnr.truth.outside"]["value"] == bad["psnr.outside"]["value"] == bad["psnr.ring"]["value"] == 100
    assert bad["lpips.inside"]["value"] > bad["lpips"]["value"] > bad["lpips.outside"]["value"]
    assert bad["psnr.truth"]["against"] == "truth"
    assert bad["psnr.truth"]["visible"] and not good["psnr.truth"]["visible"]


def test_less_than_the_noise_is_no_visible_difference(tmp_path, inline):
    """One grey level is invisible; so is what another seed changes, and what a repeat changes."""
    one = study(tmp_path, metrics=["lpips", "psnr"])

    def make(levels):
        def image(number, index, seed):
            return Image.fromarray(np.asarray(clean(index).point(lambda v: v + levels * number)))

        return image

    results = measured(one, tmp_path / "grey", make(0.5))
    score.studies([one], results)
    entry = quality(one, results, 1)["psnr"]
    assert (entry["floor_of"], entry["visible"]) == ("one grey level", False)
    results = measured(one, tmp_path / "six", make(6))
    score.studies([one], results)
    assert all(quality(one, results, 1)[name]["visible"] for name in ("psnr", "lpips", "quality"))
    results = measured(one, tmp_path / "repeat", make(6), again=clean(0).point(lambda v: v + 20))
    score.studies([one], results)
    entry = quality(one, results, 1)["psnr"]
    assert (entry["floor_of"], entry["visible"]) == ("a repeat", False)
    results = measured(one, tmp_path / "seed", lambda n, i, seed: clean(i).point(lambda v: v + 6 * n + 20 * seed))
    score.studies([one], results)
    entry = quality(one, results, 1)["psnr"]
    assert (entry["floor_of"], entry["visible"]) == ("another seed", False)
    assert entry["floor"] < entry["value"]


def test_generation_is_compared_at_the_reference_size_and_anchored_in_another_seed(tmp_path, inline):
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
    assert found["quality"]["anchor"] == "the baseline's image of another seed"
    assert not [key for key in found if "truth" in key or "inside" in key]
    assert found["psnr"]["floor_of"] == "one grey level"
    single = study(tmp_path, "flux-schnell", seeds=[1], metrics=["lpips"], baseline={"resolution": 64})
    results = measured(single, tmp_path / "single", make)
    score.studies([single], results)
    assert quality(single, results, 1)["quality"]["anchor"] == "the baseline's image of another input"
    alone = study(tmp_path / "alone", "flux-schnell", images=1, seeds=[1], baseline={"resolution": 64})
    results = measured(alone, tmp_path / "one", make)
    assert score.studies([alone], results) == []
    entry = quality(alone, results, 1)["quality"]
    assert (entry["value"], entry["anchor"]) == (None, "missing: the baseline has one input and one seed")
    assert quality(alone, results, 1)["lpips"]["value"] > 0


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
