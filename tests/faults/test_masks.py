"""A mask is read in every usual form; one that selects nothing, or everything, is one line before a call is made."""

import helpers
import numpy as np
import pytest
from helpers import tiny
from PIL import Image, ImageOps

import mic2e_bench
from mic2e_bench import pictures
from mic2e_bench.catalog.models.calling import to_model_size
from mic2e_bench.catalog.pipeline import Build, Item
from mic2e_bench.catalog.regions import Masks, Picture, read_mask
from mic2e_bench.catalog.registry import pipeline
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import inputs

SIZE = 96, 80
WHITE = helpers.mask(SIZE)
INSIDE = np.asarray(WHITE) >= 128
INDEX = INSIDE.astype(np.uint8)
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0]


def palette(index, colours):
    picture = Image.fromarray(index)
    picture.putpalette(colours + [0] * (768 - len(colours)))
    return picture


def rgba(ink, ground, alpha=(255, 0)):
    """A drawing of one ink on a ground, with the alpha of both."""
    picture = np.empty((*INDEX.shape, 4), np.uint8)
    picture[INSIDE], picture[~INSIDE] = (*ink, alpha[0]), (*ground, alpha[1])
    return Image.fromarray(picture)


def with_transparent(picture, index):
    picture.info["transparency"] = index
    return picture


two_objects = INDEX.copy()
two_objects[:20] *= 2
with_void = INDEX.copy()
with_void[:2] = 255  # as VOC has it around its objects
soft = Image.fromarray(np.where(INSIDE, 200, 40).astype(np.uint8))
READ = {
    "white on black": ("png", WHITE),
    "in RGB": ("png", WHITE.convert("RGB")),
    "in RGBA": ("png", WHITE.convert("RGBA")),
    "as JPEG": ("jpg", WHITE.convert("RGB")),
    "soft": ("png", soft),
    "1 bit": ("png", WHITE.convert("1")),
    "booleans of NumPy": ("tif", Image.fromarray(INSIDE)),
    "0 and 1": ("png", Image.fromarray(INDEX)),
    "0 and 1 in RGB": ("png", Image.merge("RGB", [Image.fromarray(INDEX)] * 3)),
    "0 and 1 of 16 bits": ("png", Image.fromarray(INDEX.astype(np.uint16))),
    "0 and 255 of 16 bits": ("png", Image.fromarray(INDEX.astype(np.uint16) * 255)),
    "16 bits": ("png", Image.fromarray(INDEX.astype(np.uint16) * 65535)),
    "16 bits of TIFF": ("tif", Image.fromarray(INDEX.astype(">u2") * 65535)),
    "32 bits": ("tif", Image.fromarray(INDEX.astype(np.int32))),
    "floats to 1": ("tif", Image.fromarray(INDEX.astype(np.float32))),
    "soft floats": ("tif", Image.fromarray(np.where(INSIDE, 0.9, 0.1).astype(np.float32))),
    "floats to 255": ("tif", Image.fromarray(INDEX.astype(np.float32) * 255)),
    "a palette of VOC or DAVIS": ("png", palette(INDEX, VOC)),
    "two objects of a palette": ("png", palette(two_objects, VOC)),
    "a palette of black alone": ("png", palette(INDEX, [])),
    "a palette whose ground is white": ("png", palette(INDEX, [255, 255, 255, 200, 0, 0])),
    "a palette of bright objects": ("png", palette(INDEX, [90, 90, 0, 255, 255, 255])),
    "a grey palette": ("png", WHITE.convert("P")),
    "black ink on nothing": ("png", rgba((0, 0, 0), (0, 0, 0))),
    "white ink on nothing": ("png", rgba((255, 255, 255), (0, 0, 0))),
    "red ink on nothing": ("png", rgba((255, 0, 0), (255, 255, 255))),
    "grey ink with alpha": ("png", rgba((0, 0, 0), (0, 0, 0)).convert("LA")),
    "a palette with a transparent ground": ("png", with_transparent(palette(INDEX, [0, 0, 0, 0, 0, 0]), 0)),
    "a transparent black": ("png", with_transparent(WHITE.copy(), 0)),
}


@pytest.mark.parametrize("form", READ)
def test_every_usual_form_is_read(form, tmp_path):
    suffix, given = READ[form]
    path = tmp_path / f"photo.mask.{suffix}"
    given.save(path)
    assert np.array_equal(np.asarray(pictures.open_picture(path, mask=True)) >= 128, INSIDE)
    assert np.array_equal(read_mask(path), INSIDE)  # in the metrics, too
    assert np.array_equal(Picture(path, is_mask=True).read()[..., 1] >= 128, INSIDE)
    assert np.array_equal(Masks(path).regions(SIZE)["inside"], INSIDE)


@pytest.mark.parametrize("form", ["white on black", "soft", "1 bit", "as JPEG"])
def test_usual_grey_is_what_it_was(form, tmp_path):
    """Pixel for pixel and by its digest, which is the file's."""
    suffix, given = READ[form]
    given.save(path := tmp_path / f"photo.mask.{suffix}")
    with Image.open(path) as opened:
        found, digest = pictures.read(path, mask=True)
        assert found.tobytes() == opened.convert("L").tobytes() and digest == pictures.digest(path, mask=True)


def with_hole(photo):
    photo.putalpha(ImageOps.invert(WHITE))
    return photo


UNCLEAR = "a picture with transparency"
NOTHING = "no pixel of at least half brightness"
REFUSED = {
    "empty": (Image.new("L", SIZE), NOTHING),
    "dark": (Image.new("L", SIZE, 100), NOTHING),
    "an empty palette": (palette(INDEX * 0, VOC), NOTHING),
    "an empty drawing": (Image.new("RGBA", SIZE), NOTHING),
    "labels above 1": (Image.fromarray(INDEX * 7), NOTHING),
    "full": (Image.new("L", SIZE, 255), "white all over"),
    "a full palette": (palette(INDEX * 0 + 1, VOC), "white all over"),
    "full of 1": (Image.new("L", SIZE, 1), "white all over"),
    "of another size": (WHITE.resize((80, 96)), "in0.png is 96x80 but in0.mask.png is 80x96"),
    "red on black": (rgba((255, 0, 0), (0, 0, 0), (255, 255)).convert("RGB"), "in colours"),
    "a palette against itself": (palette(INDEX, [255, 255, 255, 0, 0, 0]), "greys and their indices differ"),
    "a palette of few colours, by how often they are": (palette(1 - INDEX, [200, 0, 0]), "index 0 is not black"),
    "labels and what is none": (Image.fromarray(with_void), "a map of labels"),
    "two labels": (Image.fromarray(two_objects * 100), "a map of labels"),
    "a photo with a hole": (with_hole(helpers.picture(SIZE, 9).resize((192, 160)).crop((0, 0, *SIZE))), UNCLEAR),
    "a grey photo with a hole": (with_hole(helpers.picture(SIZE)), UNCLEAR),
}


@pytest.mark.parametrize("form", REFUSED)
@pytest.mark.parametrize("name", ["objectclear", "sdxl-inpaint"])
def test_what_selects_nothing_or_is_not_clear_is_one_line(form, name, tmp_path, capsys):
    given, words = REFUSED[form]
    helpers.inputs(tmp_path / "in")
    given.save(tmp_path / "in" / "in0.mask.png")
    path = helpers.file(tmp_path / "study.yaml", tiny(pipeline=name, inputs=str(tmp_path / "in")))
    line = helpers.refusal(capsys, "plan", path, "--results", tmp_path / "results")
    assert words in line and "in0.mask.png" in line


def test_a_mask_of_another_form_is_another_input(tmp_path):
    """What was measured with a mask that was read as empty does not answer for the same file now."""
    folder = tmp_path / "in"
    helpers.inputs(folder)
    Image.fromarray(INDEX).save(folder / "in0.mask.png")
    (now,) = inputs.find(str(folder), pipeline("objectclear"), "here")["items"].values()
    assert now["mask"] == pictures.digest(folder / "in0.mask.png", mask=True)
    assert now["mask"] != pictures.digest(folder / "in0.mask.png")  # of the file


def test_a_mask_that_vanishes_at_the_size_of_the_model_is_one_line():
    speck = Image.new("L", (640, 640))
    speck.putpixel((3, 3), 255)
    build = Build(pipeline("objectclear"), call={"resolution": 64, "resample": "bicubic"})
    with pytest.raises(BadInput, match="the mask of photo has no pixel left at 64x64"):
        to_model_size(build, Item("photo", helpers.picture((640, 640)), speck))


def test_apply_reads_masks_so_too():
    pytest.importorskip("torch")
    from mic2e_bench.catalog.models import load
    from mic2e_bench.run import assemble

    assert load
    pipe = assemble.make_build(helpers.study(tiny()).baseline)[0].pipe
    applied = mic2e_bench.apply(pipe, {"resolution": 80})
    _, mask = applied.resized(helpers.picture(SIZE), Image.fromarray(INDEX))
    assert mask.getextrema() == (0, 255)
    for given, words in ((Image.new("L", SIZE), NOTHING), (WHITE.resize((80, 96)), "a mask must have its size")):
        with pytest.raises(BadInput, match=words):
            applied.resized(helpers.picture(SIZE), given)
