"""The fixed evaluation set: python -m mic2e_bench.workshop.scenes.evaluation draws it into the bundled inputs.

Seeds were chosen for variety (families of texture, shapes, sizes) before any model was trained, and are disjoint from
every training seed.
"""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from mic2e_bench import paths
from mic2e_bench.workshop.command import parser
from mic2e_bench.workshop.scenes import EVALUATION_SEEDS, TRAINING_SEEDS
from mic2e_bench.workshop.scenes.example import Example, box_of, inner_point, make
from mic2e_bench.workshop.scenes.photos import PHOTOS, load_photo

FOLDER = paths.BUNDLED / "inputs"
SQUARE = {  # name: number among the evaluation seeds
    "ball-on-checks": 27, "ball-on-dots": 21, "ball-on-stripes": 46, "ring-on-clouds": 34, "ring-on-wood": 5,
    "square-on-bricks": 48, "star-on-bricks": 36, "star-on-checks": 15, "star-on-stripes": 24,
    "triangle-on-checks": 44, "triangle-on-gradient": 0,
}  # fmt: skip
SCENES = {  # name: (number, width, height)
    **{name: (number, 512, 512) for name, number in SQUARE.items()},
    "wide-0": (60, 640, 448), "wide-1": (61, 576, 432), "tall-0": (62, 448, 608), "tall-1": (63, 384, 512),
}  # fmt: skip


def seed_of(name: str) -> int:
    seed = EVALUATION_SEEDS.start + SCENES[name][0]
    assert seed in EVALUATION_SEEDS and seed not in TRAINING_SEEDS
    return seed


def scene_example(name: str) -> Example:
    return make(seed_of(name), *SCENES[name][1:])


def save(array: np.ndarray, path: Path) -> None:
    Image.fromarray(array.astype(np.uint8) * 255 if array.dtype == bool else array).save(path, optimize=True)


def write_scene(name: str, folder: Path) -> dict:
    example = scene_example(name)
    pictures = {"": example.image, ".mask": example.mask, ".truth": example.clean, ".shadow": example.shadow}
    for suffix, picture in pictures.items():
        save(picture, folder / f"{name}{suffix}.png")
    return {
        "kind": "scene",
        "prompt": example.scene.background_phrase,
        "caption": example.caption,
        "text": example.scene.things[0].phrase,
        "points": example.points,
        "box": list(example.box),
    }


def write_photo(name: str, folder: Path) -> dict:
    image, mask = load_photo(name)
    Image.fromarray(image).save(folder / f"{name}.jpg", quality=92, subsampling=0)  # a third of the bytes of a PNG
    save(mask, folder / f"{name}.mask.png")
    return {"kind": "photo", **PHOTOS[name].words, "points": [[*inner_point(mask), 1]], "box": list(box_of(mask))}


def write_all(folder: Path = FOLDER) -> None:
    """Draw every scene, cut every photograph, and write prompts.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {name: write_scene(name, folder) for name in SCENES}
    entries |= {name: write_photo(name, folder) for name in PHOTOS}
    text = yaml.safe_dump(dict(sorted(entries.items())), sort_keys=False, default_flow_style=None)
    (folder / "prompts.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser(__doc__).parse_args()
    write_all()
