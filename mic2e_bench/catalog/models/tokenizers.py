"""The tokenizers of a model: how many tokens a text is, and where each begins."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

from mic2e_bench import paths
from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.catalog.prompts import Reader, Tokens


def of_pipe(pipe: Any) -> Tokens:
    """Those of a live pipeline."""

    def tokens(reader: Reader, text: str) -> list[int]:
        tokenizer = attrgetter(reader.tokenizer)(pipe)
        if not tokenizer.is_fast:  # it can count, and cannot say where
            return [len(text)] * len(tokenizer(text, verbose=False).input_ids)
        return [start for start, _ in tokenizer(text, return_offsets_mapping=True, verbose=False).offset_mapping]

    return tokens


def of_model(model: Mapping[str, Any], pipeline: Pipeline) -> Tokens:
    """Those in a model's folder, without torch; one that is not there in a single file reads nothing."""
    folder = paths.BUNDLED / pipeline.name  # also where the weights are random
    if model["source"] != "random":
        folder = Path(sources.location(model, pipeline)[0])
    known: dict[Path, Any] = {}

    def tokens(reader: Reader, text: str) -> list[int]:
        path = folder / (reader.file or f"{reader.tokenizer}/tokenizer.json")
        if path not in known:
            known[path] = _read(path)
        return [start for start, _ in known[path].encode(text).offsets] if known[path] else []

    return tokens


def _read(path: Path) -> Any:
    """The tokenizer in a file; ``None`` where there is none, or none that can be read: who loads the model says so."""
    from tokenizers import Tokenizer

    try:
        found = Tokenizer.from_file(str(path))
    except Exception:  # it raises nothing else
        return None
    found.no_truncation()
    found.no_padding()
    return found
