"""Names to trainings."""

import functools
import pkgutil
from pathlib import Path

import torch

from mic2e_bench import paths
from mic2e_bench.errors import BadInput
from mic2e_bench.workshop.train.loop import Training, train

TASKS = {
    "vae": "vae.VaeTask",
    "objectclear": "removal.RemovalTask",
    "sdxl-inpaint": "inpaint.InpaintTask",
    "flux-schnell": "generation.FluxTask",
    "z-image-turbo": "generation.ZImageTask",
    "sam3": "sam3.Sam3Task",
}


def pick_device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise BadInput("--device cuda: no CUDA device is here; use --device cpu or auto")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def make_task(name: str, device: torch.device, out: Path):
    """The task called `name`; those that need the trained autoencoder take it from `out`/vae/vae."""
    task = pkgutil.resolve_name(f"mic2e_bench.workshop.train.{TASKS[name]}")
    return task(device) if name in ("vae", "sam3") else task(device, trained_vae(out), out)


def trained_vae(out: Path):
    """The autoencoder under `out`, or the one that is already installed with the bundled models."""
    from diffusers import AutoencoderKL

    for folder in (out / "vae" / "vae", paths.BUNDLED / "objectclear" / "vae"):
        if (folder / "config.json").exists():
            try:
                return AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32).eval().requires_grad_(False)
            except Exception as error:  # safetensors and json raise their own types; the cause is kept
                raise BadInput(
                    f"the autoencoder in {folder} is damaged; train it again: "
                    "python -m mic2e_bench.workshop.train vae --no-resume"
                ) from error
    raise BadInput(f"no trained autoencoder in {out / 'vae'}: run python -m mic2e_bench.workshop.train vae first")


def train_one(name: str, options, default_minutes: float) -> None:
    """Train `name` to its budget and install it."""
    torch.set_num_threads(1)  # two threads on busy cores are slower than one
    task = make_task(name, pick_device(options.device), options.out)
    where = options.out if name == "vae" else options.install or paths.BUNDLED
    carry_out(task, where, options, minutes=options.minutes or default_minutes, steps=options.steps)


def carry_out(task, where: Path, options, *, minutes: float | None = None, steps: int | None = None) -> None:
    """Train to a budget of steps or of minutes, going on where it stopped, and install what came of it in `where`."""
    run = Training(task, options.out / task.name, options.seed, task.device)
    resumed = options.resume and run.load()
    print(
        f"{task.name}: {sum(p.numel() for p in run.parameters) / 1e6:.2f} M parameters on {task.device}, "
        + (f"resumed at step {run.step}" if resumed else "from the start"),
        flush=True,
    )
    train(run, where, minutes=minutes, steps=steps, say=functools.partial(print, flush=True))
    print(f"{task.name}: done, {run.step} steps, {run.spent_s / 60:.1f} min of work", flush=True)
