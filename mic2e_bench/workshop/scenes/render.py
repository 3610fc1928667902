"""Scenes to pixels: float32 RGB in [0, 1] of shape (height, width, 3), masks of shape (height, width).

Everything is a formula over the plane, antialiased by the pixel's width, so that one scene looks the same at any size
and a crop of a picture is the picture of a crop. A crop is (left, top, width, height) in pixels.
"""

import numpy as np

from mic2e_bench.workshop.scenes.spec import Scene, Texture, Thing

SMALLEST, LARGEST = 128, 1024
VISIBLE = 0.02  # a shadow or reflection weaker than this is not part of the shadow mask
MASK_MARGIN = 0.004  # short sides; covers the antialiased edge


def in_range(width: int, height: int) -> tuple[int, int]:
    """The size that was given; a ValueError unless each side is 128 to 1024 whole pixels."""
    if not all(isinstance(side, int) and SMALLEST <= side <= LARGEST for side in (width, height)):
        raise ValueError(
            f"scene size {width}x{height} is out of range: each side must be {SMALLEST} to {LARGEST} pixels"
        )
    return width, height


def picture_size(scene: Scene, short_side: int) -> tuple[int, int]:
    """Width and height in pixels; a ValueError outside 128 to 1024."""
    return in_range(*(round(short_side * e) for e in scene.extent))


def plane(scene: Scene, short_side: int, crop=None) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the pixels' centres, in short sides."""
    left, top, width, height = crop or (0, 0, *picture_size(scene, short_side))
    x = (np.arange(left, left + width, dtype=np.float32) + 0.5) / short_side
    y = (np.arange(top, top + height, dtype=np.float32) + 0.5) / short_side
    return np.meshgrid(x, y)


def square_wave(t: np.ndarray, period: float, short_side: int, duty: float = 0.5) -> np.ndarray:
    """0 or 1 with the given share of 1, its edges softened over one pixel."""
    phase = (t / period) % 1.0
    edge = np.minimum(np.abs(phase - duty), np.minimum(phase, 1 - phase)) * period * short_side
    inside = np.where(phase < duty, 1.0, -1.0)
    return 0.5 + 0.5 * inside * np.clip(2 * edge, 0, 1)


def slow_noise(texture: Texture, x, y) -> np.ndarray:
    """A sum of a few plane waves, about -1.5 to 1.5."""
    return sum(np.cos(2 * np.pi * (fx * x + fy * y) + p) for fx, fy, p in texture.waves) / 2


def pattern(texture: Texture, x, y, short_side: int) -> np.ndarray:
    """The share of the second colour at each pixel, 0 to 1."""
    c, s = np.cos(texture.angle), np.sin(texture.angle)
    u, v = c * x + s * y + texture.phase[0], -s * x + c * y + texture.phase[1]
    period, kind = texture.period, texture.kind
    if kind == "stripes":
        return square_wave(u, period, short_side)
    if kind == "checks":
        a, b = (2 * square_wave(t, period, short_side) - 1 for t in (u, v))
        return 0.5 + 0.5 * a * b
    if kind == "dots":
        away = np.hypot((u / period) % 1 - 0.5, (v / period) % 1 - 0.5) - 0.3
        return np.clip(0.5 - away * period * short_side, 0, 1)
    if kind == "bricks":
        row = np.floor(v / period)
        upright = square_wave(u + row * period, 2 * period, short_side, 0.07)
        return np.maximum(square_wave(v, period, short_side, 0.14), upright)
    if kind == "wood":
        rings = v / period * 1.6 + 0.35 * slow_noise(texture, 0.6 * x, 0.6 * y)
        return 0.5 + 0.5 * np.sin(2 * np.pi * rings) * (0.75 + 0.25 * np.sin(2 * np.pi * 0.37 * rings))
    if kind == "clouds":
        return 1 / (1 + np.exp(-1.8 * slow_noise(texture, x, y)))
    return np.clip(0.5 + (u - texture.phase[0] - 0.5 * (c + s)), 0, 1)  # gradient


def background(scene: Scene, x, y, short_side: int) -> np.ndarray:
    share = pattern(scene.texture, x, y, short_side)[..., None]
    first, second = (np.array(rgb, np.float32) for rgb in scene.texture.rgb)
    lx, ly = scene.texture.light
    light = 1 + lx * (x - 0.5) + ly * (y - 0.5)
    return (first * (1 - share) + second * share) * light[..., None]


def distance(thing: Thing, x, y) -> np.ndarray:
    """Signed distance to the thing's outline (negative inside), in short sides."""
    dx, dy = x - thing.centre[0], y - thing.centre[1]
    c, s, r = np.cos(thing.turn), np.sin(thing.turn), thing.radius
    u, v = c * dx + s * dy, -s * dx + c * dy
    if thing.shape == "ball":
        return np.hypot(u, v) - r
    if thing.shape == "ring":
        return np.abs(np.hypot(u, v) - 0.74 * r) - 0.26 * r
    if thing.shape == "square":
        return np.maximum(np.abs(u), np.abs(v)) - 0.8 * r
    if thing.shape == "triangle":
        return np.maximum(np.maximum(v, -0.5 * v + 0.866 * u), -0.5 * v - 0.866 * u) - 0.55 * r
    fold = np.abs((np.arctan2(v, u) % (2 * np.pi / 5)) - np.pi / 5)  # star: one edge of ten, 0 in a notch
    rho, outer, inner = np.hypot(u, v), 1.1 * r, 0.5 * r
    tip = np.array([outer * np.cos(np.pi / 5), outer * np.sin(np.pi / 5)])
    along = (tip - [inner, 0]) / np.hypot(*(tip - [inner, 0]))
    return along[1] * (rho * np.cos(fold) - inner) - along[0] * rho * np.sin(fold)


def coverage(thing: Thing, x, y, short_side: int) -> np.ndarray:
    return np.clip(0.5 - distance(thing, x, y) * short_side, 0, 1)


def shadow(thing: Thing, x, y) -> np.ndarray:
    """How much the thing's shadow darkens each pixel, 0 to its strength."""
    dx, dy = np.cos(thing.light) * thing.shadow_offset, np.sin(thing.light) * thing.shadow_offset
    t = np.clip(0.5 - distance(thing, x - dx, y - dy) / (2 * thing.shadow_softness), 0, 1)
    return thing.shadow_strength * t * t * (3 - 2 * t)


def reflection(thing: Thing, x, y, short_side: int) -> np.ndarray:
    """How much of the mirrored thing shows below it; it fades out over one radius and a half."""
    if not thing.reflection:
        return np.zeros_like(x)
    floor = thing.centre[1] + 0.95 * thing.radius
    fade = np.clip(1 - (y - floor) / (1.5 * thing.radius), 0, 1) * (y > floor)
    return thing.reflection * fade * coverage(thing, x, 2 * floor - y, short_side)


def surface(thing: Thing, x, y) -> np.ndarray:
    """The thing's colour under its light: a ball is shaded as a sphere with a highlight, others by a slope."""
    u, v = (x - thing.centre[0]) / thing.radius, (y - thing.centre[1]) / thing.radius
    towards = -(u * np.cos(thing.light) + v * np.sin(thing.light))
    rgb = np.array(thing.rgb, np.float32)
    if thing.shape != "ball":
        return rgb * (1 + 0.2 * towards)[..., None]
    height = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
    facing = 0.55 * towards + 0.83 * height
    shine = np.clip(facing, 0, 1) ** 24
    return rgb * (0.35 + 0.75 * facing)[..., None] + 0.45 * shine[..., None]


def render(scene: Scene, short_side: int, *, without: tuple[int, ...] = (), crop=None) -> np.ndarray:
    """The picture, without the things of the given numbers (and their shadows and reflections)."""
    x, y = plane(scene, short_side, crop)
    image = background(scene, x, y, short_side)
    shown = [t for i, t in enumerate(scene.things) if i not in without]
    for thing in shown:
        image = image * (1 - shadow(thing, x, y))[..., None]
        mirrored = reflection(thing, x, y, short_side)[..., None]
        image = image * (1 - mirrored) + mirrored * np.array(thing.rgb, np.float32)
    for thing in shown:
        cover = coverage(thing, x, y, short_side)[..., None]
        image = image * (1 - cover) + cover * surface(thing, x, y)
    return np.clip(image, 0, 1).astype(np.float32)


def object_mask(scene: Scene, short_side: int, thing: int = 0, crop=None) -> np.ndarray:
    """True on the thing itself, without its shadow."""
    return distance(scene.things[thing], *plane(scene, short_side, crop)) < MASK_MARGIN


def shadow_mask(scene: Scene, short_side: int, thing: int = 0, crop=None) -> np.ndarray:
    """True where the thing's shadow or reflection can be seen, outside the thing and outside what stands on it."""
    x, y = plane(scene, short_side, crop)
    effect = np.maximum(shadow(scene.things[thing], x, y), reflection(scene.things[thing], x, y, short_side))
    covered = [distance(t, x, y) < (MASK_MARGIN if i == thing else 0) for i, t in enumerate(scene.things)]
    return (effect > VISIBLE) & ~np.any(covered, axis=0)
