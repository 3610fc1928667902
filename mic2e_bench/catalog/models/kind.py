"""What a folder of weights is, by what its files say, and whether the pipeline can load that. Imports no library."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import damage
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput

SAYS = {"model_index.json": "_class_name", "config.json": "model_type"}
STEMS = {"diffusers": "diffusion_pytorch_model"}  # of weight files; else model
SINGLE = (".safetensors", ".ckpt", ".gguf", ".bin", ".pt", ".pth")
LIBRARIES = ("diffusers", "transformers", "stable_diffusion")  # the last is diffusers' own, for a safety checker
WITHOUT_WEIGHTS = ("tokenizer", "scheduler")
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",), ("tokenizer.model",))
# other classes that do the work of one, each with its own weights
EQUIVALENT = {
    "AutoencoderKL": ("AutoencoderTiny", "AsymmetricAutoencoderKL"),
    "Qwen3Model": ("Qwen3ForCausalLM",),
}


def check(folder: Path, pipeline: Pipeline, where: str) -> None:
    """Raise ``BadInput`` where a folder's index says that it is another pipeline's, or there is none."""
    path, accepted = folder / pipeline.index, _accepted(pipeline)
    with _said(f"{where}: model: {folder}"):
        if not os.path.lexists(path):
            raise ValueError(f"holds no model of {pipeline.name}: no {pipeline.index}{_instead(folder, pipeline)}")
        if problem := damage.of(path, folder):
            raise BadInput(f"{where}: model: {problem}")
        says = _name(_mapping(path), pipeline)
        if says not in accepted and (says or not _is_indexed(pipeline)):
            others = [other.name for other in registry.pipelines().values() if says in _accepted(other)]
            hint = f" ('pipeline: {others[0]}' loads it)" if others else ""
            raise ValueError(
                f"is {says or 'of no kind'}, says its {pipeline.index}{hint}; {pipeline.name} needs "
                f"{' or '.join(accepted)}."
            )


def check_parts(folder: Path, pipeline: Pipeline, where: str, variant: str | None) -> None:
    """Raise ``BadInput`` naming the first part that is missing, or is of another class than the pipeline needs."""
    with _said(f"{where}: model: {folder}"):
        for problem in _parts(folder, _mapping(folder / pipeline.index), pipeline, variant):
            raise ValueError(f"is not a whole model of {pipeline.name}: {problem}.")


@contextlib.contextmanager
def _said(place: str) -> Iterator[None]:
    """Say in a line what is wrong with the folder, or that a file of it cannot be read."""
    try:
        yield
    except BadInput:
        raise
    except (OSError, ValueError) as error:
        raise BadInput(f"{place} {error}") from None


def single_file(path: Path, pipeline: Pipeline) -> str:
    """What to do with a single file of weights."""
    if pipeline.class_path.startswith("diffusers."):
        made = f"{pipeline.class_path}.from_single_file({str(path)!r}).save_pretrained(FOLDER)"
        return f"{path} is a single file, and a folder is loaded here: make one with {made}."
    return f"{path} is a single file: give the folder with its {pipeline.index}."


def _accepted(pipeline: Pipeline) -> tuple[str, ...]:
    return (pipeline.class_name, *pipeline.folders) if _is_indexed(pipeline) else pipeline.folders


def _is_indexed(pipeline: Pipeline) -> bool:
    return pipeline.index == "model_index.json"


def _is_ours(pipeline: Pipeline) -> bool:
    """Whether its folder is read component by component by code of ours."""
    return not pipeline.class_path.startswith("diffusers.")


def _name(index: Mapping[str, Any], pipeline: Pipeline) -> str:
    """What the index says that this is; for code of its own, which is never run, the file's name as well."""
    says = index.get(SAYS[pipeline.index])
    if isinstance(says, list) and says and _is_ours(pipeline):
        says = says[-1]
    return says if isinstance(says, str) else "" if says is None else json.dumps(says)


def _instead(folder: Path, pipeline: Pipeline) -> str:
    """What a folder without the index is, and what to do."""
    below = [path for depth in ("*", "*/*") for path in sorted(folder.glob(f"{depth}/{pipeline.index}"))]
    for path in below:
        if _name(_mapping(path), pipeline) in _accepted(pipeline):
            return f"; there is one in {path.parent}: give that folder."
    names = sorted(path for path in folder.iterdir() if path.is_file())
    singles = [path for path in names if path.suffix in SINGLE]
    if singles and not any(path.suffix == ".json" for path in names):
        return f". {single_file(singles[0], pipeline)}"
    for name, key in SAYS.items():
        if (folder / name).is_file():
            config = _mapping(folder / name)
            says = config.get(key) or config.get("_class_name") or config.get("architectures")
            return f"; it is {says or 'something else'}, says its {name}."
    return " (model_index.json: a pipeline; config.json: SAM3)."


def _mapping(path: Path) -> Mapping[str, Any]:
    """What a file of JSON says. Raises ``ValueError`` where it is no mapping."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"is not a whole model: {path} is no mapping of names.")
    return found


def _parts(folder: Path, index: Mapping[str, Any], pipeline: Pipeline, variant: str | None) -> Iterator[str]:
    """What is wrong with the parts of a folder; nothing where its index names none, which the library then says."""
    if not _is_indexed(pipeline):
        yield from _weights(folder, "model", variant)
        return
    entries = {name: entry for name, entry in index.items() if isinstance(entry, list) and len(entry) == 2}
    if not entries:
        return
    wanted, ours = pipeline.architecture({}), _is_ours(pipeline)
    for name, (library, found) in entries.items():
        if library and (not ours or name in wanted or name.startswith(WITHOUT_WEIGHTS)):
            yield from _entry(folder, name, library, found, wanted.get(name, ("", {}))[0])
    for name in sorted({reader.tokenizer for reader in pipeline.readers}):
        if not entries.get(name, [None])[0]:
            yield f"its model_index.json has no {name}"
        elif not any(all((folder / name / each).is_file() for each in names) for names in VOCABULARIES):
            # libraries make an empty one then, and read no word of any text
            yield f"{folder / name} has no vocabulary: tokenizer.json, or vocab.json with merges.txt"
    for name in pipeline.components:
        library, _, usual = wanted[name][0].partition(".")
        named = entries.get(name, [None, None])[0]
        if not ours and not named:
            yield f"its model_index.json has no {name}, usually a {usual}"
        elif not (folder / name).is_dir():
            yield f"there is no folder {name}"
        else:
            # a part that only our code knows has no variants
            yield from _weights(folder / name, STEMS.get(library, "model"), variant if library in LIBRARIES else None)


def _entry(folder: Path, name: str, library: Any, found: Any, wanted: str) -> Iterator[str]:
    """What is wrong with a component as the index has it; ``wanted`` is the usual class's path, or empty."""
    of, _, usual = wanted.rpartition(".")
    if wanted and of not in LIBRARIES:  # a part that only our code knows: what the index says of it does not matter
        return
    if library not in LIBRARIES or not isinstance(found, str):
        yield f"its model_index.json names {library}.{found} for {name}, which is code of its own: none is run"
    elif usual and found != usual and found not in EQUIVALENT.get(usual, ()):
        yield f"its {name} is a {found}, says its model_index.json; a {usual} is needed"
    elif name.startswith(WITHOUT_WEIGHTS) and name.partition("_")[0] not in found.lower():
        yield f"its {name} is a {found}, says its model_index.json; a {name.partition('_')[0]} is needed"
    elif not (folder / name).is_dir():
        yield f"there is no folder {name}, which its model_index.json names"
    elif wanted and (folder / name / "config.json").is_file():
        config = _mapping(folder / name / "config.json")
        says, kind = config.get("_class_name", found), str(config.get("model_type", ""))
        if says != found or not found.lower().startswith(kind.replace("_", "").lower()):
            yield f"its {name} is a {kind or says}, says {name}/config.json; a {found} is needed"


def _weights(folder: Path, stem: str, variant: str | None) -> Iterator[str]:
    """What is wrong with the weights of a component: one file, or an index and the files that it names."""
    names = [f"{stem}.safetensors", f"{stem}.safetensors.index.json"]
    if variant:
        names = [f"{stem}.{variant}.safetensors", f"{stem}.safetensors.index.{variant}.json", *names]
    there = next((folder / name for name in names if (folder / name).is_file()), None)
    if there is None:
        yield f"{folder} has no {names[0]}{_other_weights(folder, stem)}"
    elif there.suffix == ".json":
        parts = _mapping(there).get("weight_map")
        named = sorted({str(part) for part in parts.values()}) if isinstance(parts, dict) else []
        for part in named or [""]:
            if Path(part).name != part or not part:
                yield f"{there} names no files of its folder: {part}"
            elif not (folder / part).is_file():
                yield f"{folder / part} is missing, which {there.name} names"


def _other_weights(folder: Path, stem: str) -> str:
    """What lies in the place of a component's weights."""
    found = sorted(path.name for path in folder.iterdir())
    pattern = re.compile(rf"{stem}(?:\.safetensors\.index)?\.([\w-]+?)(?:-\d+-of-\d+)?\.(?:safetensors|json)")
    variants = sorted({match[1] for name in found if (match := pattern.fullmatch(name))} - {"index"})
    if variants:
        one = variants[0]
        return f", only {one} files: write model: {{source: {folder.parent}, variant: {one}}}"
    if begun := [name for name in found if name.endswith((".incomplete", ".part"))]:
        return f"; the download of {begun[0]} did not end: download it again"
    others = [name for name in found if Path(name).suffix in SINGLE or ".safetensors" in name]
    return f"; it has {', '.join(others[:3])}" if others else ""
