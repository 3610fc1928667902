"""Pictures and masks as a person sees them: upright, in sRGB, with eight bits. Every picture's file is read here.

The functions before ``open_picture`` need nothing but Pillow and NumPy: ``export`` copies them into its scripts.
"""

from __future__ import annotations

import functools
import hashlib
import io
import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageCms

from mic2e_bench.errors import BadInput

# by content, whatever the suffix; of the others some run programs (EPS)
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
MOST_PIXELS = 89_478_485  # Pillow's own limit, above which a small file may fill the memory
HALF = 128  # of 255: the brightness from which on a pixel of a mask belongs to the object


def upright(image):
    """The picture as its orientation tag (EXIF or XMP) wants it shown; a tag that is damaged says nothing."""
    how = Image.Transpose
    turns = {2: how.FLIP_LEFT_RIGHT, 3: how.ROTATE_180, 4: how.FLIP_TOP_BOTTOM, 5: how.TRANSPOSE}
    turns |= {6: how.ROTATE_270, 7: how.TRANSVERSE, 8: how.ROTATE_90}
    try:
        turn = turns.get(image.getexif().get(0x0112))
    except Exception:  # whatever a parser of bytes raises
        turn = None
    return image if turn is None else image.transpose(turn)


def eight_bits(image, mask=False):
    """Grey values of 16 or 32 bits, or floats, as 8 bits (mode L). Raises ValueError for values that are no brightness.

    Of 16 bits the upper 8; floats and 32 bits by their greatest value: up to 1, up to 255, or up to 65535. A mask of
    16 bits goes by its greatest value too.
    """
    values = np.asarray(image)
    if "transparency" in image.info:
        raise ValueError("it is grey with more than 8 bits and has a transparent value: save it with 8 bits")
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65535:
        raise ValueError("its values are no brightness: save it with 8 or 16 bits")
    if (image.mode.startswith("I;16") and not mask) or values.max() > 255:
        values = values.astype(np.uint16) >> 8
    elif values.max() <= 1 and (mask or image.mode == "F"):
        values = (values * 255).round()
    return Image.fromarray(values.astype(np.uint8))


def in_srgb(image, profile):
    """A picture of mode L, RGB or CMYK in RGB, by its colour profile (bytes, or None).

    One whose profile is sRGB keeps its values. A profile that is damaged, or is of other colours than the picture, is
    passed over, as viewers do.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        space = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(source.profile.xcolor_space.strip())
        given = image.convert("RGB") if (image.mode, space) == ("L", "RGB") else image
        if given.mode != space:
            return image.convert("RGB")
        change = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), space, "RGB")
    except (OSError, ImageCms.PyCMSError):
        return image.convert("RGB")
    if space != "CMYK":  # what changes no colour by more than a rounding is sRGB
        steps = np.arange(0, 256, 15, dtype=np.uint8)
        colours = (
            np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3) if space == "RGB" else steps[None]
        )
        colours = Image.fromarray(np.ascontiguousarray(colours))
        changed = ImageChops.difference(ImageCms.applyTransform(colours, change), colours.convert("RGB"))
        if max(high for _, high in changed.getextrema()) <= 2:
            return image.convert("RGB")
    return ImageCms.applyTransform(given, change)


def as_seen(image):
    """An opened picture in RGB: upright, its profile applied, what is transparent on white. Raises ValueError."""
    image, profile = upright(image), image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image = eight_bits(image)
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if image.mode == "LAB":
        seen = ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    elif image.mode == "CMYK":
        seen = in_srgb(image, profile)
    else:
        seen = in_srgb(image.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB"), profile)
    if alpha and alpha.getextrema() != (255, 255):
        seen = Image.composite(seen, Image.new("RGB", seen.size, "white"), alpha)
    seen.info = {}  # it is as its tags said; nobody shall follow them twice
    return seen


def as_mask(image):
    """An opened mask in L, white where the object is. Raises ValueError where it is not clear what is meant.

    Grey, soft or not, stays as it is. A palette's indices from 1 on are objects, whatever their colours (DAVIS, VOC);
    one of greys is a grey picture. 0 and 1 are black and white. Where there is transparency, what is opaque counts.
    """
    image = upright(image)
    if image.mode.startswith(("I", "F")):
        mask = eight_bits(image, mask=True)
    elif image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        mask = of_drawing(image.convert("RGBA"))
    elif image.mode == "P":
        mask = of_palette(image)
    elif image.mode in ("1", "L", "LA", "La"):
        mask = image.convert("L")
    else:
        mask = of_colours(as_seen(image) if image.mode == "LAB" else image)
    if mask.getextrema()[1] == 1:
        mask = mask.point(lambda value: 255 * value)
    counts = np.array(mask.histogram())  # soft edges are of many values, and few pixels beside what they surround
    if counts[0] and 1 < (counts > 0).sum() <= 9 and counts[1:128].sum() > counts[128:].sum() / 2 > 0:
        raise ValueError("it may be a map of labels, some of them darker than half: save it white where the object is")
    mask.info = {}
    return mask


def of_drawing(image):
    """The mask of a drawing on a transparent ground (RGBA): the ink of one colour, or white on black."""
    alpha = image.getchannel("A")
    ink = np.asarray(image)[np.asarray(alpha) >= 128][:, :3].astype(np.int16)
    if not len(ink) or np.ptp(ink, axis=0).max() <= 8:
        return alpha
    black_or_white = np.abs(ink.mean(axis=1) - 127.5) > 95  # all but the edges of a mask
    if np.ptp(ink, axis=1).max() <= 32 and black_or_white.mean() > 0.9:
        return Image.composite(image.convert("L"), Image.new("L", image.size), alpha)
    raise ValueError("it is a picture with transparency: save it in grey, white where the object is")


def of_palette(image):
    """The mask of an opaque picture with a palette (P)."""
    objects, colours = np.asarray(image) > 0, np.asarray(image.convert("RGB"))
    bright = colours[..., 0] >= 128
    if not bright.any() or np.ptp(colours, axis=2).any():
        black = colours.max(axis=2) < 32
        if (black & objects).any() and not black[~objects].any():  # as programs leave it that reduce colours
            raise ValueError("its palette's index 0 is not black, and another is: save it white where the object is")
        return Image.fromarray(objects.astype(np.uint8) * 255)
    if (bright != objects).sum() > bright.sum() / 2:  # more than the soft edge of one and the same
        raise ValueError("its palette's greys and their indices differ: save it in grey, white where the object is")
    return image.convert("L")


def of_colours(image):
    """The mask of a picture in colours that are all but grey: their brightness."""
    mask, (red, green, blue) = image.convert("L"), image.convert("RGB").split()
    strongest = ImageChops.lighter(red, ImageChops.lighter(green, blue))
    weakest = ImageChops.darker(red, ImageChops.darker(green, blue))
    vivid = np.asarray(ImageChops.subtract(strongest, weakest)) > 64
    bright = np.asarray(mask) >= 128
    if (vivid & ~bright & (np.asarray(strongest) >= 128)).sum() > bright.sum() / 10:  # red is no half of white
        raise ValueError("it is in colours: save it in grey, white where the object is")
    return mask


STANDALONE = (upright, eight_bits, in_srgb, as_seen, as_mask, of_drawing, of_palette, of_colours)


def open_picture(path: Path, mask: bool = False, where: str = "") -> Image.Image:
    """A picture file in RGB, or a mask file in L, as ``as_seen`` and ``as_mask`` say.

    Raises ``BadInput`` after ``where`` for what is no regular file, no whole picture of ``FORMATS``, of several frames
    or of more than ``MOST_PIXELS``.
    """
    return _decoded(path, mask, where)[0]


def read(path: Path, mask: bool = False, where: str = "") -> tuple[Image.Image, str]:
    """The picture and its identity, sixteen hexadecimal digits: of the file, or of the pixels (see ``digest``)."""
    seen, plain = _decoded(path, mask, where)
    if plain is not None and plain.tobytes() == seen.tobytes():
        return seen, _digest_of_file(path, where)
    return seen, hashlib.sha256(f"{seen.mode} {seen.size} ".encode() + seen.tobytes()).hexdigest()[:16]


def size(path: Path) -> tuple[int, int]:
    """Width and height of a picture file as they are stored, which its orientation tag may exchange."""
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        return image.size


def digest(path: Path, mask: bool = False) -> str:
    """What identifies a picture: the digest of its file, also where it is none; ``BadInput`` for no regular file.

    Where the pixels are not those that Pillow's plain conversion gives (a turned photo, a mask of 0 and 1), it is the
    digest of the pixels: what was measured before they were read so is not taken for what is measured now.
    """
    path = Path(path)
    found = _file(path, "")
    return _known_digest(path, mask, found.st_size, found.st_mtime_ns, found.st_ino)


@functools.cache
def _known_digest(path: Path, mask: bool, *stat: int) -> str:
    try:
        return read(path, mask)[1]
    except BadInput:
        return _digest_of_file(path, "")


def selects(mask: Image.Image) -> str:
    """What is wrong with a mask (L) that selects nothing or everything, and what to do; empty where it is well."""
    inside = np.asarray(mask) >= HALF
    if not inside.any():
        return "has no pixel of at least half brightness, so nothing is selected: paint the object white on black"
    return "is white all over, so nothing is left outside: paint all but the object black" if inside.all() else ""


def _file(path: Path, where: str):
    """The ``stat`` of a regular file. Raises ``BadInput``."""
    place = f"{where}: " if where else ""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise BadInput(f"{place}{path} is missing.") from None
    except OSError as error:
        raise BadInput(f"{place}{path} cannot be read: {error.strerror}.") from None
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(f"{place}{path} is not a file of a picture: it is a folder, a pipe or a device.")
    return found


def _digest_of_file(path: Path, where: str) -> str:
    _file(path, where)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _decoded(path: Path, mask: bool, where: str) -> tuple[Image.Image, Image.Image | None]:
    """The picture, and what Pillow makes of it by itself; ``None`` where it makes nothing of it."""
    path, place = Path(path), f"{where}: " if where else ""
    _file(path, where)
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")  # of tags that are damaged, and of sizes that are checked here
            image = Image.open(file, formats=FORMATS)
            _check(image)
            image.load()
            seen = as_mask(image) if mask else as_seen(image)
            try:
                return seen, image.convert(seen.mode)
            except ValueError:
                return seen, None
    except Exception as error:  # decoders raise everything there is on bytes that somebody damaged
        reason = {
            "UnidentifiedImageError": f"none of {', '.join(FORMATS)}",
            "DecompressionBombError": f"it has more than {MOST_PIXELS} pixels: make it smaller",
        }.get(type(error).__name__, error)
        raise BadInput(f"{place}{path} is not a readable image ({reason}).") from None


def _check(image: Image.Image) -> None:
    """Raise ``ValueError`` for what is not to be decoded. A phone's MPO has its photo first, and small ones behind."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise Image.DecompressionBombError
    if image.format == "TIFF" and image.mode.startswith(("I", "F")) and image.tag_v2.get(262) == 0:
        raise ValueError("it is grey with more than 8 bits and has white for 0: save it with black for 0")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise ValueError(f"it has {image.n_frames} frames: save the one that is meant by itself")
