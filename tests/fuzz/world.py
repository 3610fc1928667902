"""A workbench of a few small files that are all in order, and the damage that is done to a copy of it."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from made_records import measured
from PIL import Image, ImageDraw

from mic2e_bench import documents, paths
from mic2e_bench.plan import params

STUDY = {
    "study": "s",
    "pipeline": "sdxl-inpaint",
    "model": "random",
    "inputs": {"source": "in", "names": ["001", "scene"]},
    "baseline": {"steps": 2, "resolution": 64, "guidance": 1.0},
    "vary": {"steps": [1, 3]},
    "protocol": {"warmup": 0, "repeats": 2, "seeds": [42]},
    "metrics": ["lpips", "psnr"],
}
PROMPTS = {
    "001": {
        "prompt": "red bricks",
        "caption": "a ball",
        "text": "ball",
        "points": [[20, 30, 1]],
        "box": [8, 8, 40, 40],
    },
    "scene": "white sand",
}
SECRET = "outside/private.png"  # beside the workbench: nothing in a record leads there


@dataclasses.dataclass(frozen=True)
class Case:
    """A command, with ``{world}`` for the workbench's folder, and the files that replace the good ones there.

    A file is its bytes, or a text: ``link TARGET``, ``pipe``, ``folder``, ``gone``.
    """

    kind: str
    arguments: tuple[str, ...]
    files: dict[str, bytes | str] = dataclasses.field(default_factory=dict)

    def stored(self) -> str:
        files = {name: content if isinstance(content, str) else {"base64": base64.b64encode(content).decode()}
                 for name, content in self.files.items()}  # fmt: skip
        return json.dumps({"kind": self.kind, "arguments": list(self.arguments), "files": files}, indent=1)

    @classmethod
    def read(cls, path: Path) -> Case:
        found = json.loads(path.read_text())
        files = {name: content if isinstance(content, str) else base64.b64decode(content["base64"])
                 for name, content in found["files"].items()}  # fmt: skip
        return cls(found["kind"], tuple(found["arguments"]), files)


def build(folder: Path) -> dict[str, Any]:
    """Everything in order, in ``folder/good``; returns the documents that are worth damaging, by their file."""
    good = folder / "good"
    for name in ("params", "notebooks", "in"):
        (good / name).mkdir(parents=True)
    shutil.copy(paths.PACKAGE.parent / "params" / "presets.yaml", good / "params")
    for index, name in enumerate(PROMPTS):
        _picture(64 + index).save(good / "in" / f"{name}.png")
        mask = Image.new("L", (64 + index, 48))
        mask.paste(255, (10, 10, 30, 30))
        mask.save(good / "in" / f"{name}.mask.png")
    (good / "in" / "prompts.yaml").write_text(documents.as_yaml(PROMPTS))
    (good / "study.yaml").write_text(documents.as_yaml(STUDY))
    private = folder / SECRET
    private.parent.mkdir()
    _picture(64).save(private)
    before = Path.cwd()
    os.chdir(good)
    try:
        study = params.read("study.yaml")
        for number, trial in enumerate(study.trials, 1):
            measured(study, good / "results", trial, number)
    finally:
        os.chdir(before)
    found = {str(path.relative_to(good)): json.loads(path.read_text()) for path in good.glob("results/s/*.json")}
    presets = documents.yaml_values((good / "params" / "presets.yaml").read_text())[0]
    return {
        "study.yaml": STUDY,
        "in/prompts.yaml": PROMPTS,
        "params/presets.yaml": presets,
        **dict(sorted(found.items())),
    }


def _picture(width: int) -> Image.Image:
    image = Image.linear_gradient("L").resize((width, 48)).convert("RGB")
    ImageDraw.Draw(image).ellipse((8, 8, 30, 30), fill=(200, 30, 60))
    return image


def lay(case: Case, folder: Path) -> Path:
    """A fresh copy of the workbench with the case's files in it."""
    world = folder / "world"
    if world.exists():
        shutil.rmtree(world)
    shutil.copytree(folder / "good", world, symlinks=True)
    for name, content in case.files.items():
        path = world / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content.startswith("link "):
            path.symlink_to(content.removeprefix("link ").replace("{world}", str(world)))
        elif content == "pipe":
            os.mkfifo(path)
        elif content == "folder":
            path.mkdir()
    return world


def snapshot(folder: Path) -> dict[str, Any]:
    """What a folder holds: kind, size and time of every file in it."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*names, *folders):
            path = os.path.join(place, name)
            seen = os.lstat(path)
            is_file = stat.S_ISREG(seen.st_mode)
            found[os.path.relpath(path, folder)] = (
                seen.st_mode,
                *((seen.st_size, seen.st_mtime_ns) if is_file else ()),
            )
    return found
