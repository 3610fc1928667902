"""The weights that we measure, written where ComfyUI looks for them: one safetensors file a part, in its own layout.

``UNETLoader``, ``VAELoader`` and ``DualCLIPLoader`` (type sdxl) read the names of diffusers and transformers as they
are. Each file says of what it was written, which ComfyUI shows to whoever asks (``/view_metadata``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.trial import Trial

KEY = "mic2e_bench"  # of a file's metadata
# of a pipeline: its parts, the folders of ComfyUI's models/ that they go to, the newer name first, and the files' ends
PARTS = {
    "sdxl-inpaint": {
        "unet": (("diffusion_models", "unet"), "unet"),
        "text_encoder": (("text_encoders", "clip"), "clip_l"),
        "text_encoder_2": (("text_encoders", "clip"), "clip_g"),
        "vae": (("vae",), "vae"),
    }
}


def write(trial: Trial, folder: Path) -> list[tuple[Path, str]]:
    """Load a trial's model in its precision, and write its parts below ``folder``, ComfyUI's own or its ``models/``.

    Returns the files with their SHA-256. What is there already with the same name is written anew. Needs the model once
    in memory. Raises ``BadInput`` where the pipeline has no such parts, or ``folder`` is no place of ComfyUI's.
    """
    parts = PARTS.get(trial.pipeline)
    if parts is None:
        raise BadInput(f"{trial.pipeline}: its parts cannot be written for ComfyUI. Those of {', '.join(PARTS)} can.")
    models = folder / "models" if (folder / "models").is_dir() else folder
    places = {part: _place(models, names) for part, (names, _) in parts.items()}
    build = loaded(trial)
    written = []
    for part, (_, end) in parts.items():
        path = places[part] / f"mic2e-{trial.pipeline}-{end}.safetensors"
        written.append((path, _written(getattr(build.pipe, part), path, identity(trial))))
    return written


def _place(models: Path, names: tuple[str, ...]) -> Path:
    found = [models / name for name in names if (models / name).is_dir()]
    if not found:
        raise BadInput(f"{models}: no folder {' or '.join(names)} in it: give ComfyUI's folder, or its models/.")
    return found[0]


def identity(trial: Trial) -> str:
    """Of what weights are written: the model, without the place where it lies, and their precision."""
    model = {key: value for key, value in trial.model.items() if key not in ("path", "asked")}
    return json.dumps({**model, "precision": trial.settings["precision"]}, sort_keys=True)


def loaded(trial: Trial) -> Any:
    """The trial's build."""
    from mic2e_bench.run import assemble  # with torch

    return assemble.make_build(trial)[0]


def _written(module: Any, path: Path, origin: str) -> str:
    """Write a module's weights under their own names, whole or not at all; returns the file's SHA-256."""
    import safetensors.torch

    state = {named(key, module): value.contiguous().cpu() for key, value in module.state_dict().items()}
    state = {key: value for key, value in state.items() if "position_ids" not in key}  # a table, and no weight
    beside = path.with_name(f".{path.name}.part")
    try:
        safetensors.torch.save_file(state, beside, metadata={"format": "pt", KEY: origin})
        digest = _digest(beside)
        beside.chmod(0o644)  # as any file is; the library makes them for this user alone
        os.replace(beside, path)
    except OSError as error:
        raise files.cannot_write(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
    return digest


def named(key: str, module: Any) -> str:
    """A weight's name as files have it: transformers 5 leaves out the first part of a text encoder's in memory."""
    first = "text_model."
    bare = type(module).__module__.startswith("transformers.") and not key.startswith((first, "text_projection."))
    return f"{first}{key}" if bare else key


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
