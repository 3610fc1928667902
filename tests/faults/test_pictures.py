"""The picture decoded is the picture that a person sees: upright, in sRGB, with eight bits; or one line says why."""

import io
import os
import zlib

import helpers
import numpy as np
import pytest
from helpers import tiny
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from mic2e_bench import paths, pictures
from mic2e_bench.catalog import plain_code
from mic2e_bench.catalog.models.objectclear.inputs import pair_inputs
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import inputs
from mic2e_bench.tools.export import find, python

SIZE = 96, 80
SEEN = helpers.picture(SIZE)
GREY = SEEN.convert("L")
ORIENTATION = 0x0112
# what a camera writes down so that a picture tagged so is shown upright
TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def tagged(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def turned(picture, orientation):
    return picture.transpose(TURNED[orientation]) if orientation in TURNED else picture


def pixels(picture):
    return np.asarray(picture, dtype=np.int16)


def apart(one, other):
    return int(np.abs(pixels(one) - pixels(other)).max())


# ---- which way up


@pytest.mark.parametrize("orientation", [0, 1, *TURNED, 9, 77])
@pytest.mark.parametrize("suffix, how", [("png", {}), ("webp", {"lossless": True}), ("tif", {})])
def test_a_picture_is_upright(orientation, suffix, how, tmp_path):
    path = tmp_path / f"photo.{suffix}"
    turned(SEEN, orientation).save(path, exif=tagged(orientation), **how)
    assert apart(pictures.open_picture(path), SEEN) == 0


@pytest.mark.parametrize("orientation", TURNED)
def test_so_is_a_photo_of_a_phone(orientation, tmp_path):
    turned(SEEN, orientation).save(tmp_path / "photo.jpg", exif=tagged(orientation), quality=95)
    found = pictures.open_picture(tmp_path / "photo.jpg")
    assert found.size == SIZE and np.abs(pixels(found) - pixels(SEEN)).mean() < 4


def test_an_orientation_in_xmp(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
    turned(SEEN, 6).save(tmp_path / "photo.png", pnginfo=texts)
    assert apart(pictures.open_picture(tmp_path / "photo.png"), SEEN) == 0


@pytest.mark.parametrize(
    "tags", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_tags_that_are_damaged_say_nothing(tags, tmp_path):
    SEEN.save(tmp_path / "photo.png", exif=tags)
    assert apart(pictures.open_picture(tmp_path / "photo.png"), SEEN) == 0


def test_a_photo_and_its_mask_are_each_turned_by_their_own_tag(tmp_path):
    folder = tmp_path / "in"
    helpers.inputs(folder)
    turned(SEEN, 6).save(folder / "in0.png", exif=tagged(6))
    turned(helpers.mask(SIZE), 3).save(folder / "in0.mask.png", exif=tagged(3))
    (item,) = inputs.read(helpers.study(tiny(inputs=str(folder))).baseline.inputs)
    assert apart(item.image, SEEN) == 0 and apart(item.mask, helpers.mask(SIZE)) == 0


# ---- which colours


def profiled(name, mode="RGB"):
    """A profile that is not sRGB: Adobe RGB's primaries with gamma 2.2, or a grey of gamma 1.8; by hand, as bytes."""

    def number(value):
        return round(value * 65536).to_bytes(4, "big", signed=True)

    def tag(kind, content):
        return kind + bytes(4) + content

    gamma = tag(
        b"curv", (1).to_bytes(4, "big") + round((1.8 if mode == "L" else 2.2) * 256).to_bytes(2, "big") + b"\0\0"
    )
    tags = {b"wtpt": tag(b"XYZ ", b"".join(map(number, (0.9642, 1.0, 0.8249))))}
    if mode == "L":
        tags[b"kTRC"] = gamma
    else:
        primaries = {
            b"rXYZ": (0.60974, 0.31111, 0.01947),
            b"gXYZ": (0.20528, 0.62567, 0.06087),
            b"bXYZ": (0.14919, 0.06322, 0.74457),
        }
        tags |= {key: tag(b"XYZ ", b"".join(map(number, value))) for key, value in primaries.items()}
        tags |= {b"rTRC": gamma, b"gTRC": gamma, b"bTRC": gamma}
    tags[b"desc"] = tag(b"desc", (len(name) + 1).to_bytes(4, "big") + name.encode() + b"\0" + bytes(78))
    tags[b"cprt"] = tag(b"text", b"nobody\0\0")
    table, content, start = len(tags).to_bytes(4, "big"), b"", 128 + 4 + 12 * len(tags)
    for key, value in tags.items():
        value += bytes(-len(value) % 4)
        table += key + (start + len(content)).to_bytes(4, "big") + len(value).to_bytes(4, "big")
        content += value
    size = (start + len(content)).to_bytes(4, "big")
    space = b"GRAY" if mode == "L" else b"RGB "
    head = size + bytes(4) + b"\x02\x10\0\0mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += b"".join(map(number, (0.9642, 1.0, 0.8249)))
    return head + bytes(128 - len(head)) + table + content


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WIDE = profiled("wide")


def test_a_profile_is_applied(tmp_path):
    SEEN.save(tmp_path / "photo.png", icc_profile=WIDE)
    wanted = ImageCms.profileToProfile(SEEN, ImageCms.ImageCmsProfile(io.BytesIO(WIDE)), ImageCms.createProfile("sRGB"))
    found = pictures.open_picture(tmp_path / "photo.png")
    assert apart(found, wanted) <= 1 and apart(found, SEEN) > 20 and not found.info


@pytest.mark.parametrize("profile", [SRGB, b"garbage", profiled("grey", "L"), b""])
def test_one_that_says_nothing_else_changes_nothing(profile, tmp_path):
    SEEN.save(tmp_path / "photo.png", icc_profile=profile)
    assert apart(pictures.open_picture(tmp_path / "photo.png"), SEEN) == 0


def test_a_grey_picture_by_its_profile(tmp_path):
    GREY.save(tmp_path / "photo.png", icc_profile=profiled("grey", "L"))
    found = pictures.open_picture(tmp_path / "photo.png")
    assert found.mode == "RGB" and 8 < apart(found, GREY.convert("RGB")) < 60


def cmyk(path):
    SEEN.convert("CMYK").save(path, quality=100, subsampling=0)


def lab(path):
    change = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    ImageCms.applyTransform(SEEN, change).save(path)


def alpha(mode):
    def save(path):
        picture = SEEN.convert("RGBA")
        hole = Image.new("L", SIZE, 255)
        hole.paste(0, (0, 0, 40, 40))
        picture.paste((255, 0, 0, 0), (0, 0, 40, 40))
        picture.putalpha(hole)
        if mode == "P":
            picture.quantize(64).save(path)
        elif mode == "tRNS":
            flat = Image.new("RGB", SIZE, (9, 9, 9))
            flat.paste((1, 2, 3), (0, 0, 40, 40))
            flat.save(path, transparency=(1, 2, 3))
        else:
            picture.convert(mode).save(path)

    return save


def array(values):
    return lambda path: Image.fromarray(values).save(path)


KINDS = {
    "1 bit": ("png", lambda path: GREY.convert("1").save(path), GREY.convert("1").convert("RGB"), 0),
    "grey": ("png", lambda path: GREY.save(path), GREY.convert("RGB"), 0),
    "palette": ("png", lambda path: SEEN.quantize(64).save(path), SEEN.quantize(64).convert("RGB"), 0),
    "16 bits": ("png", array(np.asarray(GREY).astype(np.uint16) * 257), GREY.convert("RGB"), 0),
    "16 bits of TIFF": ("tif", array(np.asarray(GREY).astype(np.uint16) * 256), GREY.convert("RGB"), 0),
    "16 bits, big end first": ("tif", array(np.asarray(GREY).astype(">u2") * 257), GREY.convert("RGB"), 0),
    "32 bits": ("tif", array(np.asarray(GREY).astype(np.int32) * 257), GREY.convert("RGB"), 0),
    "32 bits of 8": ("tif", array(np.asarray(GREY).astype(np.int32)), GREY.convert("RGB"), 0),
    "floats to 1": ("tif", array(np.asarray(GREY).astype(np.float32) / 255), GREY.convert("RGB"), 0),
    "floats to 255": ("tif", array(np.asarray(GREY).astype(np.float32)), GREY.convert("RGB"), 0),
    "CMYK": ("jpg", cmyk, SEEN, 40),
    "Lab": ("tif", lab, SEEN, 8),
    "opaque alpha": ("png", lambda path: SEEN.convert("RGBA").save(path), SEEN, 0),
    "opaque grey alpha": ("png", lambda path: GREY.convert("LA").save(path), GREY.convert("RGB"), 0),
    "a JPEG that is called PNG": ("png", lambda path: SEEN.save(path, "JPEG"), None, None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture(kind, tmp_path):
    suffix, save, wanted, tolerance = KINDS[kind]
    save(path := tmp_path / f"photo.{suffix}")
    found = pictures.open_picture(path)
    assert (found.mode, found.size, found.info) == ("RGB", SIZE, {})
    if wanted:
        assert apart(found, wanted) <= tolerance


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "tRNS"])
def test_what_is_transparent_is_white(mode, tmp_path):
    alpha(mode)(path := tmp_path / "photo.png")
    found = pixels(pictures.open_picture(path))
    assert (found[:40, :40] == 255).all() and found[60:, 60:].mean() < 250
    if mode == "RGBA":
        assert np.array_equal(found[40:], pixels(SEEN)[40:])


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", SIZE, (0, 0, 0, 128)).save(tmp_path / "photo.png")
    assert pictures.open_picture(tmp_path / "photo.png").getextrema() == ((127, 127),) * 3


# ---- what is refused, each in one line


def frames(path, **how):
    SEEN.save(path, save_all=True, append_images=[GREY.convert("RGB")], **how)


def text_bomb(path):
    """A PNG whose compressed text is larger than Pillow reads."""
    texts = PngImagePlugin.PngInfo()
    texts.add(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 << 20)))
    SEEN.save(path, pnginfo=texts)


def huge(path):
    """A header of 60,000 x 60,000 pixels before the pixels of a small picture."""
    SEEN.save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)


def white_first(path):
    """Of more than 8 bits Pillow turns none round."""
    Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257).save(path, tiffinfo={262: 0})
    with Image.open(path) as made:
        assert made.tag_v2[262] == 0


def cut_off(path):
    Image.effect_noise((300, 300), 99).save(path)
    path.write_bytes(path.read_bytes()[:-500])


REFUSED = {
    "an animated PNG": ("png", frames, "has 2 frames"),
    "an animated WebP": ("webp", frames, "has 2 frames"),
    "a TIFF of several pages": ("tif", frames, "has 2 frames"),
    "a GIF that moves": ("gif", frames, "has 2 frames"),
    "no picture": ("png", lambda path: path.write_text("no picture"), "is not a readable image"),
    "an empty file": ("png", lambda path: path.touch(), "is not a readable image"),
    "PostScript": ("png", lambda path: SEEN.save(path, "EPS"), "none of PNG, JPEG"),
    "cut off": ("png", cut_off, "is not a readable image"),
    "a bomb of text": ("png", text_bomb, "is not a readable image"),
    "a huge picture": ("png", huge, "more than 89478485 pixels"),
    "98 megapixels": ("png", lambda path: Image.new("1", (9_900, 9_900)).save(path), "more than 89478485 pixels"),
    "not a number": ("tif", array(np.full((80, 96), np.nan, np.float32)), "no brightness"),
    "below zero": ("tif", array(np.full((80, 96), -1, np.int32)), "no brightness"),
    "16 bits, white first": ("tif", white_first, "has white for 0"),
    "one pixel wide": ("png", lambda path: SEEN.resize((1, 80)).save(path), "1x80"),
    "a pipe": ("png", os.mkfifo, "a folder, a pipe or a device"),
    "a device": ("png", lambda path: path.symlink_to("/dev/zero"), "a folder, a pipe or a device"),
    "a folder": ("png", os.mkdir, "a folder, a pipe or a device"),
    "a link to nothing": ("png", lambda path: path.symlink_to("nowhere"), "in0.png is missing"),
    "a HEIC": ("heic", lambda path: path.write_bytes(b"\0\0\0\x18ftypheic"), "in0.heic is not a readable image"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_picture_is_one_line(kind, tmp_path, capsys):
    suffix, save, words = REFUSED[kind]
    helpers.inputs(tmp_path / "in")
    (tmp_path / "in" / "in0.png").unlink()
    save(tmp_path / "in" / f"in0.{suffix}")
    path = helpers.file(tmp_path / "study.yaml", tiny(inputs=str(tmp_path / "in")))
    line = helpers.refusal(capsys, "plan", path, "--results", tmp_path / "results")
    assert words in line and f"in0.{suffix}" in line and not (tmp_path / "results").exists()


# ---- what stays


def test_the_bundled_pictures_keep_their_pixels_and_their_identity():
    for path in sorted(inputs.BUNDLED.glob("*.png"))[:24]:
        with Image.open(path) as opened:
            found, digest = pictures.read(path, ".mask" in path.name or ".shadow" in path.name)
            assert found.tobytes() == opened.convert(found.mode).tobytes()
        assert digest == pictures.digest(path) == pictures.digest(paths.BUNDLED / "inputs" / path.name)
        assert len(digest) == 16


def test_what_is_read_otherwise_than_before_is_another_input(tmp_path):
    """A record of the sideways photo does not answer for the upright one."""
    folder, digests = tmp_path / "in", []
    helpers.inputs(folder, [(96, 96)])
    plain = turned(helpers.picture((96, 96)), 6)
    for tags in ({}, {"exif": tagged(6)}):
        plain.save(folder / "in0.png", **tags)
        (item,) = helpers.study(tiny(inputs=str(folder))).baseline.inputs["items"].values()
        digests.append((item["image"], pictures.digest(folder / "in0.png")))
    (before, _), (after, same) = digests
    assert before != after == same
    plain.save(folder / "in0.png", exif=tagged(6), compress_level=0)  # another file, the same picture
    assert pictures.digest(folder / "in0.png") == after


def test_objectclear_and_apply_read_pictures_so_too():
    photo, upside = turned(SEEN, 6), turned(helpers.mask(SIZE), 3)
    photo.getexif()[ORIENTATION] = 6
    upside.getexif()[ORIENTATION] = 3
    (picture,), (mask,) = pair_inputs(photo, upside)
    assert apart(picture, SEEN) == 0 and apart(mask, helpers.mask(SIZE)) == 0
    flags = np.asarray(helpers.mask(SIZE)) >= 128
    assert apart(pair_inputs(SEEN, flags)[1][0], Image.fromarray(flags).convert("L")) == 0


def test_a_picture_that_is_turned_upright_by_its_owner_is_not_turned_again():
    photo = turned(SEEN, 6)
    photo.getexif()[ORIENTATION] = 6
    assert apart(pictures.as_seen(ImageOps.exif_transpose(photo)), SEEN) == 0
    assert apart(pictures.as_seen(pictures.as_seen(photo)), SEEN) == 0


@pytest.mark.parametrize("kind", ["palette", "16 bits", "CMYK", "Lab", "turned"])
def test_an_exported_script_reads_them_so_by_itself(kind, tmp_path):
    """With its own imports, and nothing of the workbench."""
    snippet = python.snippet(find.find("SDXL_20_STEPS", "sdxl-inpaint", tmp_path))
    assert "mic2e_bench" not in snippet and "original = as_seen(Image.open(IMAGE))" in snippet
    alone = {}
    exec("\n".join([*plain_code.OPENING_PLAIN, plain_code.opening_functions()]), alone)
    suffix, save, *_ = KINDS.get(
        kind, ("png", lambda path: turned(SEEN, 6).save(path, exif=tagged(6), icc_profile=WIDE))
    )
    save(path := tmp_path / f"photo.{suffix}")
    assert apart(alone["as_seen"](Image.open(path)), pictures.open_picture(path)) == 0
    if kind == "palette":  # that one is no mask
        Image.fromarray(np.asarray(helpers.mask(SIZE)) // 255, "P").save(path)
    if kind in ("palette", "16 bits"):
        assert apart(alone["as_mask"](Image.open(path)), pictures.open_picture(path, mask=True)) == 0


def test_a_picture_that_is_missing_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"photo\.png is missing"):
        pictures.open_picture(tmp_path / "photo.png")
