"""One scene at one size, with everything that is known about it."""

from dataclasses import dataclass

import numpy as np

from mic2e_bench.workshop.scenes.render import in_range, object_mask, render, shadow_mask
from mic2e_bench.workshop.scenes.spec import Scene, draw_scene


@dataclass(frozen=True)
class Example:
    """Arrays are uint8 (height, width, 3) for pictures and bool (height, width) for masks; all about `things[0]`."""

    scene: Scene
    image: np.ndarray
    clean: np.ndarray
    mask: np.ndarray
    shadow: np.ndarray

    @property
    def caption(self) -> str:
        return self.scene.caption

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the mask in pixels; right and bottom are the last pixels inside."""
        return box_of(self.mask)

    @property
    def points(self) -> list[list[int]]:
        """One point well inside the object: [[x, y, 1]]."""
        return [[*inner_point(self.mask), 1]]


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def inner_point(mask: np.ndarray) -> tuple[int, int]:
    """The (x, y) inside the mask that is farthest from its edge: right for rings, too."""
    from scipy.ndimage import distance_transform_edt

    y, x = np.unravel_index(distance_transform_edt(np.pad(mask, 1)).argmax(), np.add(mask.shape, 2))
    return int(x) - 1, int(y) - 1


def to_bytes(image: np.ndarray) -> np.ndarray:
    return (image * 255 + 0.5).astype(np.uint8)


def make(seed: int, width: int = 512, height: int = 512, most_things: int = 3) -> Example:
    """The scene of `seed` at a size of 128 to 1024 pixels a side; a ValueError for any other size."""
    in_range(width, height)
    scene = draw_scene(seed, width / height, most_things)
    short, crop = min(width, height), (0, 0, width, height)
    return Example(
        scene=scene,
        image=to_bytes(render(scene, short, crop=crop)),
        clean=to_bytes(render(scene, short, without=(0,), crop=crop)),
        mask=object_mask(scene, short, crop=crop),
        shadow=shadow_mask(scene, short, crop=crop),
    )
