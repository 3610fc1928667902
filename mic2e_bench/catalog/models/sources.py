"""``model:`` of a params file becomes a source with an identity. Imports no torch; downloads nothing."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import paths
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput, unknown

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # no part is a way out of a folder
WHOLE_FILE_BYTES = 64 << 20  # weight files above this enter the fingerprint by their size and both ends
END_BYTES = 1 << 20
NOT_KEPT = "random weights: the picture was not kept"
LINK_TEXT_BYTES = 512  # more than the text of a link between bundled models


def resolve(value: Any, pipeline: Pipeline, where: str) -> dict[str, Any]:
    """``bundled``, ``random``, ``published``, a hub id or a folder (or a mapping with ``source`` and ``revision``).

    Returns ``{"source": "bundled"|"random"|"hub"|"folder", ...}`` with what identifies the weights: the fingerprint of
    the files, or the hub id and revision. Raises ``BadInput``.
    """
    given = value if isinstance(value, Mapping) else {"source": value}
    for key in given:
        if key not in ("source", "revision"):
            raise unknown("key", key, ("source", "revision"), f"{where}: model")
    source, revision = str(given.get("source", "bundled")), given.get("revision")
    if source == "bundled":
        return {"source": "bundled", "fingerprint": fingerprint(bundled(pipeline.name, where))}
    if source == "random":
        check_unweighted(pipeline, f"{where}: model: random")
        return {"source": "random"}
    if source == "published":
        source = pipeline.hub
    elif paths.find(source).is_dir():
        path = _folder(paths.find(source), where)
        return {"source": "folder", "fingerprint": fingerprint(path), "path": str(path.resolve())}
    if not HUB_ID.fullmatch(source) or source.startswith("."):
        raise BadInput(
            f"{where}: model: no folder '{source}', and it is no hub id (owner/name). "
            f"Known words: bundled, random, published ({pipeline.hub})."
        )
    return {"source": "hub", "id": source, "revision": str(revision or "main")}


def bundled(name: str, where: str) -> Path:
    """The folder of a bundled model. Raises ``BadInput`` where there is none, or it is not whole."""
    if not (paths.BUNDLED / name).is_dir():
        raise BadInput(f"{where}: model: no model of {name} is bundled: give a folder, a hub id, published or random.")
    return _folder(paths.BUNDLED / name, where)


def check_unweighted(pipeline: Pipeline, where: str) -> None:
    """Raise ``BadInput`` where it is not known which tokenizers and scheduler go with components alone."""
    if pipeline.unweighted:
        return
    if not (paths.BUNDLED / pipeline.name).is_dir():
        raise BadInput(
            f"{where}: no model of {pipeline.name} is bundled whose tokenizers could be taken, and its file in "
            "mic2e_bench/catalog/pipelines/ gives no 'unweighted'."
        )
    check_links(paths.BUNDLED / pipeline.name, where)


def _folder(path: Path, where: str) -> Path:
    if not any((path / name).is_file() for name in ("model_index.json", "config.json")):
        raise BadInput(
            f"{where}: model: {path} holds no model: no model_index.json (a pipeline), no config.json (SAM3)."
        )
    if not any(path.rglob("*.safetensors")):
        raise BadInput(f"{where}: model: {path} holds no .safetensors files (other weight formats are not loaded).")
    check_links(path, where)
    return path


def check_links(folder: Path, where: str) -> None:
    """Files that bundled models have in common are links. Git without links writes where they lead as a small text."""
    for path in folder.rglob("*"):
        if path.suffix not in (".json", ".safetensors"):
            continue
        if not path.exists():
            raise BadInput(
                f"{where}: model: {path} is a link to {os.readlink(path)}, which is not there: copy the models with "
                "what they link to (cp -rL), or put the missing file back."
            )
        if path.stat().st_size < LINK_TEXT_BYTES and path.read_bytes().startswith(b"../"):
            raise BadInput(
                f"{where}: model: {path} is no file of a model but the text of a link, as a checkout without symbolic "
                f"links leaves it: git config core.symlinks true, then git checkout -f -- {folder}; or put a copy of "
                f"{path.read_text().strip()} in its place."
            )


def fingerprint(folder: Path) -> str:
    """Sixteen hexadecimal digits over the names and contents of a model's files (large weights by their ends)."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".safetensors", ".txt", ".model", ".jinja") and path.name != "evaluation.json":
            stat = path.stat()
            total.update(f"{path.relative_to(folder)}\0{stat.st_size}\0".encode())
            total.update(_digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return total.hexdigest()[:16]


@functools.cache
def _digest(path: Path, size: int, *stat: int) -> bytes:
    """The digest of a file's content, read again when its size, time or inode changes."""
    with path.open("rb") as file:
        content = file.read(END_BYTES if size > WHOLE_FILE_BYTES else -1)
        if size > WHOLE_FILE_BYTES:
            file.seek(size - END_BYTES)
            content += file.read()
    return hashlib.sha256(content).digest()


def pictures_may_lack(model: Mapping[str, Any]) -> bool:
    """Pictures of random weights are noise: such a record may keep their hashes without the files."""
    return model["source"] == "random"


def location(model: Mapping[str, Any], pipeline: Pipeline) -> tuple[str, str | None]:
    """The folder or hub id to load from, and the revision. Not for ``random``. Raises ``BadInput``."""
    if lacking := {"folder": {"path"}, "hub": {"id", "revision"}}.get(model["source"], set()) - set(model):
        raise BadInput(f"model: it is a {model['source']} without its {' and '.join(sorted(lacking))}.")
    if model["source"] == "bundled":
        return str(paths.BUNDLED / pipeline.name), None
    if model["source"] == "folder":
        return model["path"], None
    return model["id"], model["revision"]


def label(model: Mapping[str, Any]) -> str:
    """How tables and plots name the weights; stand-ins say that they are."""
    return {
        "bundled": "bundled stand-in model",
        "random": "published size, random weights",
        "folder": f"folder {model.get('path', '')}",
        "hub": f"{model.get('id', '')}@{model.get('revision', '')}",
    }[model["source"]]
