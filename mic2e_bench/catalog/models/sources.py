"""``model:`` of a params file becomes a source with an identity. Imports no torch; downloads nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import paths
from mic2e_bench.catalog.models import damage, digests, hub, kind, walk
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.documents import named
from mic2e_bench.errors import BadInput, unknown

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")  # no part is a way out of a folder
REVISION = re.compile(r"(?!.*\.\.)\w[\w./+-]*")
VARIANT = re.compile(r"[\w-]+")
KEYS = ("source", "revision", "variant")
WHOLE_FILE_BYTES = 64 << 20  # what the rule of before hashed whole; of a larger file it took both ends
END_BYTES = 1 << 20
WHOLE = "whole:"  # a fingerprint with files above that, by the rule of today
NOT_KEPT = "random weights: the picture was not kept"


def resolve(value: Any, pipeline: Pipeline, where: str) -> dict[str, Any]:
    """``bundled``, ``random``, ``published``, a hub id or a folder (or a mapping with ``KEYS``).

    Returns ``{"source": "bundled"|"random"|"hub"|"folder", ...}`` with what identifies the weights: the fingerprint of
    the files, or the hub id and the commit, with the name that it was ``asked`` by. Where no copy on this machine says
    which commit that is, ``revision`` is the name, until ``pinned``. Raises ``BadInput``.
    """
    given = value if isinstance(value, Mapping) else {"source": value}
    for key in given:
        if key not in KEYS:
            raise unknown("key", key, KEYS, f"{where}: model")
    source = named(given.get("source", "bundled"), f"{where}: model")
    revision = named(given.get("revision") or "main", f"{where}: model: revision")
    chosen = _variant(given, source, where)
    _check_revision(given, source, f"{where}: model")
    if source == "bundled":
        return {"source": "bundled", "fingerprint": fingerprint(bundled(pipeline.name, where, pipeline))}
    if source == "random":
        check_unweighted(pipeline, f"{where}: model: random")
        return {"source": "random"}
    if source == "published":
        source = pipeline.hub
    elif os.path.isdir(path := paths.find(source, f"{where}: model")):
        folder = _folder(path, where, pipeline, **chosen)
        return {"source": "folder", "fingerprint": fingerprint(folder), **chosen, "path": str(folder.resolve())}
    elif os.path.isfile(path):
        raise BadInput(f"{where}: model: {kind.single_file(path, pipeline)}")
    if not HUB_ID.fullmatch(source) or source.startswith("."):
        raise BadInput(
            f"{where}: model: no folder '{source}', and it is no hub id (owner/name). "
            f"Known words: bundled, random, published ({pipeline.hub})."
        )
    if not REVISION.fullmatch(revision):
        raise BadInput(f"{where}: model: revision: '{revision}' is no branch, tag or commit.")
    if snapshot := hub.snapshot(source, revision):
        if os.path.exists(snapshot / pipeline.index):  # what is not there yet is downloaded
            kind.check(snapshot, pipeline, where)
        damage.check(snapshot, walk.files(snapshot), where)
    return {"source": "hub", "id": source, **hub.commit(source, revision), **chosen}


def _check_revision(given: Mapping[str, Any], source: str, where: str) -> None:
    """Raise ``BadInput`` where a revision is given for what has none."""
    if not given.get("revision") or source == "published":
        return
    if source in ("bundled", "random") or os.path.isdir(paths.find(source, where)):
        raise BadInput(f"{where}: revision: it is for weights from the hub, and {source} is not from there.")


def _variant(given: Mapping[str, Any], source: str, where: str) -> dict[str, str]:
    """``{"variant": name}``, of which files (``model.fp16.safetensors``) are loaded; empty where none is asked for."""
    if (variant := given.get("variant")) is None:
        return {}
    if not VARIANT.fullmatch(str(variant)):
        raise BadInput(f"{where}: model: variant: '{variant}' is no part of a file's name, such as fp16.")
    if source in ("bundled", "random"):
        raise BadInput(f"{where}: model: variant: {source} weights have none; it is for a folder or the hub.")
    return {"variant": str(variant)}


def pinned(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same weights with the commit that the hub has now; as they were where it cannot be asked."""
    if model["source"] != "hub" or hub.is_commit(model["revision"]):
        return model
    hub.ask(model["id"], model["revision"])
    return {**model, **hub.commit(model["id"], model["revision"])}


def bundled(name: str, where: str, pipeline: Pipeline | None = None) -> Path:
    """The folder of a bundled model. Raises ``BadInput`` where there is none, or it is not whole."""
    if not (paths.BUNDLED / name).is_dir():
        raise BadInput(f"{where}: model: no model of {name} is bundled: give a folder, a hub id, published or random.")
    return _folder(paths.BUNDLED / name, where, pipeline)


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


def _folder(path: Path, where: str, pipeline: Pipeline | None, variant: str | None = None) -> Path:
    if pipeline:
        kind.check(path, pipeline, where)
    found = walk.files(path)
    damage.check(path, found, where)
    if not any(file.name.suffix == ".safetensors" for file in found):
        raise BadInput(f"{where}: model: {path} holds no .safetensors files (other weight formats are not loaded).")
    if pipeline:
        kind.check_parts(path, pipeline, where, variant)
    return path


def check_links(folder: Path, where: str) -> None:
    """Raise ``BadInput`` where a file is not whole, or the link of one leads nowhere."""
    damage.check(folder, walk.files(folder), where)


def fingerprint(folder: Path) -> str:
    """Sixteen hexadecimal digits over the names and whole contents of a model's files, those behind links too.

    ``WHOLE`` stands before it where there are files above ``WHOLE_FILE_BYTES``. Raises ``BadInput``.
    """
    found = walk.files(folder)
    sizes = [file.path.stat().st_size for file in found]
    text = _combined(found, sizes, digests.of([file.path for file in found]))
    return f"{WHOLE if max(sizes, default=0) > WHOLE_FILE_BYTES else ''}{text}"


def _combined(found: list[walk.File], sizes: list[int], digests: list[bytes]) -> str:
    total = hashlib.sha256()
    for file, size, digest in zip(found, sizes, digests, strict=True):
        total.update(f"{file.name}\0{size}\0".encode(errors="surrogateescape"))
        total.update(digest)
    return total.hexdigest()[:16]


def fingerprint_of_before(folder: Path) -> str:
    """The fingerprint by the rule of before: large files by both ends, linked folders left out; empty: no folder."""
    if not folder.is_dir():
        return ""
    found = [file for file in walk.files(folder) if file.name.suffix in walk.READ and not file.linked]
    sizes = [file.path.stat().st_size for file in found]
    return _combined(found, sizes, [_ends(file.path, size) for file, size in zip(found, sizes, strict=True)])


def _ends(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(END_BYTES if size > WHOLE_FILE_BYTES else -1)
        if size > WHOLE_FILE_BYTES:
            file.seek(size - END_BYTES)
            content += file.read()
    return hashlib.sha256(content).digest()


def of_before(model: Mapping[str, Any]) -> dict[str, Any]:
    """What an older version would have said of these weights."""
    found = {key: value for key, value in model.items() if key != "asked"}
    if "asked" in model:
        found["revision"] = model["asked"]
    if model["source"] == "folder":
        found["fingerprint"] = fingerprint_of_before(Path(model["path"])) or model["fingerprint"]
    return found


def why_before(model: Mapping[str, Any], weights_bytes: int | None) -> str:
    """Why the weights of a stored record are not fully in its identity; empty where they are.

    A record is data: of the folder that it names, if that is still a model's, only the sizes of files are looked at.
    ``weights_bytes`` is how large the weights were in memory, for a folder that is gone.
    """
    if model["source"] == "hub" and not hub.is_commit(model["revision"]):
        return f"which commit of {model['id']} was '{model['revision']}' is not in it"
    if model["source"] != "folder" or model["fingerprint"].startswith(WHOLE):
        return ""
    folder, largest = Path(model["path"]), weights_bytes or 0
    if any((folder / name).is_file() for name in kind.SAYS):
        with contextlib.suppress(BadInput, OSError):
            largest = max((file.path.stat().st_size for file in walk.files(folder)), default=0)
    return "large files were hashed at their ends only" if largest > WHOLE_FILE_BYTES else ""


def pictures_may_lack(model: Mapping[str, Any]) -> bool:
    """Pictures of random weights are noise: such a record may keep their hashes without the files."""
    return model["source"] == "random"


def location(model: Mapping[str, Any], pipeline: Pipeline) -> tuple[str, dict[str, str]]:
    """The folder or hub id to load from, and what ``from_pretrained`` is given with it. Not for ``random``.

    Raises ``BadInput`` for a record that lacks them.
    """
    if lacking := {"folder": {"path"}, "hub": {"id", "revision"}}.get(model["source"], set()) - set(model):
        raise BadInput(f"model: it is a {model['source']} without its {' and '.join(sorted(lacking))}.")
    if model["source"] == "bundled":
        return str(paths.BUNDLED / pipeline.name), {}
    given = {key: model[key] for key in ("revision", "variant") if key in model}
    return (model["path"] if model["source"] == "folder" else model["id"]), given


def label(model: Mapping[str, Any]) -> str:
    """How tables and plots name the weights; stand-ins say that they are."""
    asked = model.get("asked", model.get("revision", ""))
    commit = f" ({model['revision'][:8]})" if "asked" in model else ""
    return {
        "bundled": "bundled stand-in model",
        "random": "published size, random weights",
        "folder": f"folder {model.get('path', '')}",
        "hub": f"{model.get('id', '')}@{asked}{commit}",
    }[model["source"]]
