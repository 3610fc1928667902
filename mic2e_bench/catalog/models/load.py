"""Load a pipeline from its source, and say in one line what is missing where it cannot be."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from mic2e_bench.catalog.models import damage, hub, random, sources, walk
from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.errors import BadInput, Unavailable


def load(build: Build, model: Mapping[str, Any]) -> Any:
    """The live pipeline, on the CPU (``random``: on the build's device), in evaluation mode, without a progress bar.

    Raises ``Unavailable`` naming the file or repository that is missing, its licence page and the way to a local
    folder; ``BadInput`` naming the folder, and the file where that is known, for weights that a library cannot load.
    """
    if model["source"] == "random":
        pipe = random.assemble(build)
    else:
        pipe = _loaded(build, model)
        _refuse_made_up(replace(build, pipe=pipe).modules(), Path(sources.location(model, build.pipeline)[0]))
    if hasattr(pipe, "set_progress_bar_config"):
        pipe.set_progress_bar_config(disable=True)
    return pipe


def _loaded(build: Build, model: Mapping[str, Any]) -> Any:
    where, arguments = sources.location(model, build.pipeline)
    if model["source"] == "hub" and not hub.is_commit(arguments["revision"]):
        _refuse_unpinned(where, arguments["revision"], build.pipeline.index)
    build.load |= arguments
    try:
        with contextlib.ExitStack() as stack:
            for manager in build.around_load:
                stack.enter_context(manager())
            return build.pipeline.loaded(where, **build.load)
    except (Unavailable, BadInput, MemoryError):
        raise
    except Exception as error:  # of any library: JSON, safetensors, templates, their own checks
        if isinstance(error, OSError) or (model["source"] == "hub" and isinstance(error, ValueError)):
            name = model.get("asked", arguments.get("revision"))
            raise Unavailable(missing(error, where, name, model["source"])) from error
        raise BadInput(_cannot_be_loaded(error, where)) from error


def _refuse_made_up(modules: Mapping[str, Any], folder: Path) -> None:
    """Raise ``BadInput`` where a file lacks weights of its module: libraries warn, and leave them empty or random."""
    for name, module in modules.items():
        parameters = dict(module.named_parameters())
        empty = [key for key, value in parameters.items() if value.is_meta]
        stored = sum(damage.tensors(path) for path in (folder / name).glob("*.safetensors"))
        if empty or 0 < stored < len(parameters):
            lacks = f"{empty[0]}" if empty else f"{len(parameters) - stored} of its {len(parameters)} parameters"
            raise BadInput(f"{folder} is not a whole model: there are no weights in {name} for {lacks}")


def _cannot_be_loaded(error: Exception, where: str) -> str:
    """One line for weights that a library rejects: the damaged file, if one is seen now, else what the library says."""
    folder = Path(where)
    for file in walk.files(folder) if folder.is_dir() else ():
        if problem := damage.of(file.path, folder):
            return problem
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:300]
    return f"{where} cannot be loaded: {type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"


def _refuse_unpinned(id: str, revision: str, index: str) -> NoReturn:
    """Weights of a commit that no identity holds are not measured: say why they cannot be had, or to plan again."""
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(id, index, revision=revision)
    except (OSError, ValueError) as error:
        raise Unavailable(missing(error, id, revision, "hub")) from error
    raise Unavailable(
        f"weights of {id}: the commit of revision {revision} was not known when this was planned: run again"
    )


def missing(error: Exception, where: str, revision: str | None, source: str) -> str:
    """One line for weights that could not be had."""
    text = " ".join(str(error).split())
    if source != "hub":
        return f"{where} is not a whole model: {text[:300]}"
    page = f"huggingface.co/{where}"
    if "gated" in text.lower() or type(error).__name__ == "GatedRepoError":
        why = f"its licence has to be accepted at {page}, then log in with `hf auth login`"
    elif os.environ.get("HF_HUB_OFFLINE") == "1":
        why = "HF_HUB_OFFLINE=1 forbids the download and it is not in the local cache"
    else:
        why = f"neither downloaded nor in the local cache: {text[:200]}"
    return (
        f"weights of {where} (revision {revision}): {why}. Licence page: {page}. Or give a folder: --set model=FOLDER"
    )
