"""Scenes: the same seed gives the same picture, and every answer that comes with a picture is right."""

import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from mic2e_bench.workshop.scenes import (
    EVALUATION_SEEDS,
    TRAINING_SEEDS,
    draw_scene,
    make,
    object_mask,
    render,
    shadow_mask,
)
from mic2e_bench.workshop.scenes.evaluation import FOLDER, SCENES, scene_example, seed_of, write_scene
from mic2e_bench.workshop.scenes.photos import PHOTOS, load_photo
from mic2e_bench.workshop.scenes.words import COLOURS, SHAPES, TEXTURES, WORDS


def read(path):
    with Image.open(path) as opened:
        return np.asarray(opened)


def test_a_seed_gives_one_picture():
    assert np.array_equal(make(7, 192, 192).image, make(7, 192, 192).image)
    assert not np.array_equal(make(7, 192, 192).image, make(8, 192, 192).image)


@pytest.mark.parametrize("size", [(128, 128), (256, 192), (200, 333), (1024, 512)])
def test_any_size_comes_out_as_asked(size):
    example = make(3, *size)
    assert example.image.shape == example.clean.shape == (size[1], size[0], 3)
    assert example.mask.shape == example.shadow.shape == (size[1], size[0])


@pytest.mark.parametrize(("width", "height"), [(127, 256), (256, 1025), (0, 0), (256.0, 256)])
def test_a_size_out_of_range_is_named_with_what_is_allowed(width, height):
    with pytest.raises(ValueError, match=r"^scene size .* out of range: each side must be 128 to 1024 pixels$"):
        make(1, width, height)


@pytest.mark.parametrize("seed", range(12))
def test_the_clean_plate_differs_only_under_object_and_shadow(seed):
    example = make(seed, 256, 192)
    change = np.abs(example.image.astype(int) - example.clean).max(-1)
    assert change[~(example.mask | example.shadow)].max() <= 0.03 * 255
    assert change[example.mask].mean() > 20
    assert not (example.mask & example.shadow).any()


def test_the_mask_is_where_the_object_is():
    scene = draw_scene(5)
    without_shadow = np.abs(render(scene, 256) - render(scene, 256, without=(0,))).max(-1) > 0.2
    mask = object_mask(scene, 256)
    assert (without_shadow & mask).sum() > 0.7 * mask.sum()


def test_a_scene_looks_the_same_at_any_size():
    scene = draw_scene(11)
    large = render(scene, 512).reshape(256, 2, 256, 2, 3).mean((1, 3))
    assert np.abs(large - render(scene, 256)).mean() < 0.02


def test_a_crop_of_a_picture_is_the_picture_of_a_crop():
    scene = draw_scene(12, 4 / 3)
    assert np.allclose(render(scene, 192, crop=(40, 30, 64, 50)), render(scene, 192)[30:80, 40:104], atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_points_and_box_belong_to_the_object(seed):
    example = make(seed, 256, 256)
    (x, y, label), (left, top, right, bottom) = example.points[0], example.box
    assert label == 1
    assert example.mask[y, x]
    outside = example.mask.copy()
    outside[top : bottom + 1, left : right + 1] = False
    assert not outside.any()


def test_scenes_vary():
    scenes = [draw_scene(i) for i in range(200)]
    assert {s.texture.kind for s in scenes} == set(TEXTURES)
    assert {s.things[0].shape for s in scenes} == set(SHAPES)
    assert {s.things[0].colour for s in scenes} == set(COLOURS)
    assert {len(s.things) for s in scenes} == {1, 2, 3}
    assert 10 < sum(s.things[0].reflection > 0 for s in scenes) < 80


def test_captions_are_made_of_known_words():
    for seed in range(50):
        assert set(draw_scene(seed).caption.split()) <= set(WORDS)


def test_every_thing_has_a_mask_and_a_shadow():
    scene = next(s for s in map(draw_scene, range(50)) if len(s.things) == 3)
    masks = [object_mask(scene, 128, i) for i in range(3)]
    assert all(m.any() for m in masks)
    assert not (masks[0] & masks[1]).any()
    assert all(shadow_mask(scene, 128, i).any() for i in range(3))


def test_evaluation_seeds_are_never_trained_on():
    assert len(SCENES) >= 12
    assert all(seed_of(n) in EVALUATION_SEEDS and seed_of(n) not in TRAINING_SEEDS for n in SCENES)
    assert EVALUATION_SEEDS.start >= TRAINING_SEEDS.stop


def test_bundled_scenes_are_what_the_generator_draws(tmp_path):
    name = sorted(SCENES)[0]
    entry = write_scene(name, tmp_path)
    stored = yaml.safe_load((FOLDER / "prompts.yaml").read_text())
    assert stored[name] == entry
    for suffix in ("", ".mask", ".truth", ".shadow"):
        drawn, kept = (read(folder / f"{name}{suffix}.png") for folder in (tmp_path, FOLDER))
        assert np.abs(drawn.astype(int) - kept).max() <= 1


def test_bundled_inputs_are_complete():
    stored = yaml.safe_load((FOLDER / "prompts.yaml").read_text())
    assert set(stored) == {*SCENES, *PHOTOS}
    for name, entry in stored.items():
        image, mask = read(FOLDER / f"{name}.{'jpg' if name in PHOTOS else 'png'}"), read(FOLDER / f"{name}.mask.png")
        assert image.shape == (*mask.shape, 3)
        assert set(np.unique(mask)) == {0, 255}
        assert set(entry) == {"kind", "prompt", "caption", "text", "points", "box"}
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) < 6e6


def test_scene_example_has_the_size_of_the_list():
    name = "wide-0"
    assert scene_example(name).image.shape[:2] == SCENES[name][:0:-1]


def test_photographs_come_from_the_installed_package():
    pytest.importorskip("skimage")
    for name in PHOTOS:
        picture, mask = load_photo(name)
        assert picture.shape[:2] == mask.shape
        assert 0.005 < mask.mean() < 0.2


def test_drawing_needs_no_torch():
    code = "import sys, mic2e_bench.workshop.scenes as s; s.make(1, 128, 128); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
