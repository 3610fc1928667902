"""Folders of weights for tests: a copy of a bundled model, files of safetensors of any size, a copy of the hub's."""

import json
import shutil

from mic2e_bench import paths

UNET = "unet/diffusion_pytorch_model.safetensors"
COMMITS = ("a" * 40, "b" * 40)


def copy(folder, name="sdxl-inpaint"):
    """A bundled model as a folder of its own, without links."""
    return shutil.copytree(paths.BUNDLED / name, folder)


def safetensors(path, size, byte=b"\0", at=0):
    """A file of one tensor of ``size`` bytes, zeros but for one byte; large ones take no room on the disk."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
        file.seek(8 + len(header) + at)
        file.write(byte)
    return path


def hub(cache, id, commit, model=None, revision="main"):
    """What the hub's local copy knows: the commit of a revision, and its files where a folder is given."""
    repository = cache / f"models--{id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / revision).write_text(commit)
    if model:
        shutil.copytree(model, repository / "snapshots" / commit)
    return repository
