"""What is in a scene, drawn from a seed. Lengths are in short sides of the picture, angles in radians."""

from dataclasses import dataclass

import numpy as np

from mic2e_bench.workshop.scenes.words import COLOURS, SHAPES, TEXTURES

TRAINING_SEEDS = range(0, 1_000_000_000)
EVALUATION_SEEDS = range(2_000_000_000, 2_000_001_000)  # never trained on


@dataclass(frozen=True)
class Texture:
    """The background: two colours mixed by a pattern, under a slow change of light."""

    kind: str
    colours: tuple[str, str]
    rgb: tuple[tuple[float, float, float], tuple[float, float, float]]
    angle: float
    period: float
    phase: tuple[float, float]
    waves: tuple[tuple[float, float, float], ...]  # (frequency x, frequency y, phase) of the slow noise
    light: tuple[float, float]  # change of brightness per short side, in x and y


@dataclass(frozen=True)
class Thing:
    """An object with its shadow, and perhaps a reflection (strength 0: none)."""

    shape: str
    colour: str
    rgb: tuple[float, float, float]
    centre: tuple[float, float]
    radius: float
    turn: float
    light: float  # direction the light goes to
    shadow_offset: float
    shadow_softness: float
    shadow_strength: float
    reflection: float

    @property
    def phrase(self) -> str:
        return f"{self.colour} {self.shape}"


def extent_of(aspect: float) -> tuple[float, float]:
    """Width and height in short sides."""
    return max(1.0, aspect), max(1.0, 1 / aspect)


@dataclass(frozen=True)
class Scene:
    """A texture and the things on it; `things[0]` is the one to remove. `aspect` is width / height."""

    seed: int
    aspect: float
    texture: Texture
    things: tuple[Thing, ...]

    @property
    def extent(self) -> tuple[float, float]:
        return extent_of(self.aspect)

    @property
    def background_phrase(self) -> str:
        a, b = self.texture.colours
        return f"{a} and {b} {self.texture.kind}"

    @property
    def place(self) -> str:
        """Where the first thing stands, in one word."""
        x, y = (c / e - 0.5 for c, e in zip(self.things[0].centre, self.extent, strict=True))
        if max(abs(x), abs(y)) < 0.14:
            return "center"
        if abs(x) >= abs(y):
            return "left" if x < 0 else "right"
        return "top" if y < 0 else "bottom"

    @property
    def caption(self) -> str:
        article = "an" if self.things[0].phrase[0] == "o" else "a"
        return f"{article} {self.things[0].phrase} at the {self.place} on {self.background_phrase}"


def near(colour: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """A shade close to the named colour."""
    return tuple(float(c) for c in np.clip(np.add(COLOURS[colour], rng.uniform(-0.06, 0.06, 3)), 0, 1))


def draw_texture(rng: np.random.Generator) -> Texture:
    colours = tuple(str(c) for c in rng.choice(list(COLOURS), 2, replace=False))
    first, second = (np.array(near(c, rng)) for c in colours)
    softened = second + rng.uniform(0, 0.45) * (first - second)  # from full contrast to a bit over half of it
    return Texture(
        kind=str(rng.choice(TEXTURES)),
        colours=colours,
        rgb=(tuple(first.tolist()), tuple(softened.tolist())),
        angle=float(rng.uniform(0, np.pi)),
        period=float(np.exp(rng.uniform(np.log(0.07), np.log(0.24)))),
        phase=tuple(rng.uniform(0, 1, 2).tolist()),
        waves=tuple(map(tuple, np.column_stack([rng.normal(0, 2.2, (6, 2)), rng.uniform(0, 6.3, 6)]).tolist())),
        light=tuple(rng.uniform(-0.18, 0.18, 2).tolist()),
    )


def draw_thing(rng, extent, colours, light: float, offset: float) -> Thing:
    colour = str(rng.choice([c for c in COLOURS if c not in colours]))
    radius = float(rng.uniform(0.10, 0.19))
    return Thing(
        shape=str(rng.choice(SHAPES)),
        colour=colour,
        rgb=near(colour, rng),
        centre=tuple(float(rng.uniform(0.17, e - 0.17)) for e in extent),
        radius=radius,
        turn=float(rng.uniform(0, 2 * np.pi)),
        light=light,
        shadow_offset=offset,
        shadow_softness=float(rng.uniform(0.015, 0.05)),
        shadow_strength=float(rng.uniform(0.3, 0.6)),
        reflection=float(rng.uniform(0.2, 0.4)) if rng.random() < 0.2 else 0.0,
    )


def draw_scene(seed: int, aspect: float = 1.0, most_things: int = 3) -> Scene:
    """The scene of `seed`: 1 to `most_things` things that don't touch one another's shadows' cores."""
    rng = np.random.default_rng([seed, round(aspect * 1000)])
    texture = draw_texture(rng)
    extent = extent_of(aspect)
    light, offset = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.03, 0.08))
    wanted, things = int(rng.integers(1, most_things + 1)), []
    for _ in range(40):
        thing = draw_thing(rng, extent, texture.colours, light, offset)
        apart = all(
            np.hypot(*np.subtract(thing.centre, t.centre)) > 1.15 * (thing.radius + t.radius) + offset for t in things
        )
        if apart and all(thing.phrase != t.phrase for t in things):
            things.append(thing)
        if len(things) == wanted:
            break
    return Scene(seed=int(seed), aspect=float(aspect), texture=texture, things=tuple(things))
