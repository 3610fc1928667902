"""Load a pipeline from its source, and say in one line what is missing where it cannot be."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from mic2e_bench.catalog.models import random, sources
from mic2e_bench.catalog.pipeline import Build
from mic2e_bench.errors import Unavailable


def load(build: Build, model: Mapping[str, Any]) -> Any:
    """The live pipeline, on the CPU (``random``: on the build's device), in evaluation mode, without a progress bar.

    Raises ``Unavailable`` naming the file or repository that is missing, its licence page and the way to a local
    folder.
    """
    if model["source"] == "random":
        pipe = random.assemble(build)
    else:
        where, revision = sources.location(model, build.pipeline)
        if model["source"] == "hub":
            build.load["revision"] = revision
        try:
            with contextlib.ExitStack() as stack:
                for manager in build.around_load:
                    stack.enter_context(manager())
                pipe = build.pipeline.loaded(where, **build.load)
        except (OSError, ValueError) as error:
            if model["source"] == "hub" or isinstance(error, OSError):
                raise Unavailable(missing(error, where, revision, model["source"])) from error
            raise
    if hasattr(pipe, "set_progress_bar_config"):
        pipe.set_progress_bar_config(disable=True)
    return pipe


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
