"""The training loop: a budget of steps or CPU minutes, moving averages, checkpoints that survive any stop.

What a step sees depends on the seed and the step's number alone, so a run that was killed and resumed does the same
steps as one that was not. Budgets count process time, not wall time: a paused or starved run loses nothing.
"""

import contextlib
import io
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from mic2e_bench import files
from mic2e_bench.errors import BadInput

SAVE_EVERY_S = 45.0  # wall seconds between checkpoints
EXPORT_EVERY_S = 600.0  # seconds of work between installations of what there is
MAX_EMA = 0.999
FAST = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class Batch:
    """Random numbers of one step: `numpy` and `torch` generators seeded by (seed, step)."""

    def __init__(self, seed: int, step: int, progress: float):
        self.step, self.progress = step, progress
        self.numpy = np.random.default_rng([seed, step])
        self.torch = torch.Generator().manual_seed(seed * 1_000_003 + step)


def clock(device: torch.device) -> float:
    """Seconds that count against the budget: of the processor's work on CPU, of the clock on GPU."""
    return time.process_time() if device.type == "cpu" else time.monotonic()


def write_json(path: Path, content) -> None:
    """Replaced at once: a reader or a crash never meets half a file."""
    files.write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def read_checkpoint(path: Path, configuration: dict) -> dict | None:
    """The checkpoint at `path`, None where there is none, a BadInput where it can't be used."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = json.loads(state["configuration"])
    except Exception as error:  # torch raises many types for a damaged file; the cause is kept
        raise BadInput(f"{path} is damaged ({type(error).__name__}); delete it, or give --no-resume") from error
    if found != configuration:
        differing = sorted(k for k in {*found, *configuration} if found.get(k) != configuration.get(k))
        raise BadInput(
            f"{path} is of another configuration ({', '.join(differing)} differ); "
            "give --no-resume to start over, or another --out"
        )
    return state


class Training:
    """One training: the task, its moving average, its optimiser and where it stands."""

    def __init__(self, task, out: Path, seed: int, device: torch.device):
        self.task, self.out, self.seed, self.device = task, out, seed, device
        self.path = out / "checkpoint.pt"
        self.step, self.spent_s, self.history = 0, 0.0, []
        for module in task.modules.values():
            module.to(device)
        self.parameters = [p for m in task.modules.values() for p in m.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=task.rate, betas=(0.9, 0.99), weight_decay=task.decay)

    @property
    def configuration(self) -> dict:
        tensors = [v for m in self.task.modules.values() for v in m.state_dict().values()]
        size = {"tensors": len(tensors), "weights": sum(v.numel() for v in tensors)}
        return {"name": self.task.name, "seed": self.seed, **size, **self.task.configuration}

    def load(self) -> bool:
        state = read_checkpoint(self.path, self.configuration)
        if state is None:
            return False
        for name, module in self.task.modules.items():
            module.load_state_dict(state["modules"][name])
        for mine, saved in zip(self.average, state["average"], strict=True):
            mine.copy_(saved)
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent_s, self.history = state["step"], state["spent_s"], json.loads(state["history"])
        return True

    def save(self) -> None:
        state = {
            "configuration": json.dumps(self.configuration), "step": self.step, "spent_s": self.spent_s,
            "history": json.dumps(self.history), "average": self.average,
            "modules": {n: m.state_dict() for n, m in self.task.modules.items()},
            "optimiser": self.optimiser.state_dict(),
        }  # fmt: skip
        content = io.BytesIO()
        torch.save(state, content)
        files.write_whole(self.path, content.getvalue())
        write_json(self.out / "curve.json", self.history)

    def modes(self, training: bool) -> None:
        for module in self.task.modules.values():
            module.train(training)

    @contextlib.contextmanager
    def averaged(self):
        """The modules have the moving average of their weights, and are ready to answer."""
        self.swap()
        self.modes(training=False)
        yield
        self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights with their moving average."""
        for p, a in zip(self.parameters, self.average, strict=True):
            kept = p.clone()
            p.copy_(a)
            a.copy_(kept)

    def one_step(self, progress: float) -> float:
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
        rate = self.task.rate * min(1.0, (self.step + 1) / 100) * cosine
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.modes(training=True)
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        fast = [SDPBackend.MATH] if self.device.type == "cpu" else FAST  # see noise.plain_attention
        with torch.autocast(self.device.type, torch.bfloat16), sdpa_kernel(fast):
            loss = self.task.loss(Batch(self.seed, self.step, progress))
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        keep = min(MAX_EMA, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - keep)
        return float(loss.detach())

    def validate(self, loss: float) -> dict:
        """Figures of the averaged weights, noted on the curve."""
        with self.averaged(), torch.no_grad():
            figures = self.task.validate()
        self.history.append({"step": self.step, "cpu_s": round(self.spent_s, 1), "loss": round(loss, 4), **figures})
        return figures

    def export(self, where: Path) -> None:
        """Install the averaged weights; the training may go on."""
        with self.averaged():
            self.task.finish(where)
        facts = {
            "steps": self.step, "work_s": round(self.spent_s, 1), "device": self.device.type, "seed": self.seed,
            "parameters": sum(p.numel() for p in self.parameters), "curve": self.history,
        }  # fmt: skip
        write_json(where / self.task.name / "training.json", facts)


def train(run: Training, where: Path, *, minutes: float | None, steps: int | None, say=print) -> None:
    """Train up to the budget (CPU minutes or steps, counted over all resumptions), then install the model in `where`.

    Validates and saves along the way, and installs what there is every ten minutes of work.
    """
    mean, saved_at, check_at, export_at = None, time.monotonic(), next_check(run.spent_s), run.spent_s + EXPORT_EVERY_S
    while True:
        progress = run.step / steps if steps else run.spent_s / (60 * minutes)
        if progress >= 1:
            break
        started = clock(run.device)
        loss = run.one_step(progress)
        run.spent_s += clock(run.device) - started
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        if run.spent_s >= check_at:
            check_at = next_check(run.spent_s)
            figures = run.validate(mean)
            left = run.spent_s * (1 - progress) / max(progress, 1e-9)
            say(
                f"{run.task.name}: step {run.step}, {run.spent_s / 60:.1f} min of work, loss {mean:.4f}, "
                + ", ".join(f"{k} {v}" for k, v in figures.items())
                + f", {left / 60:.1f} min left"
            )
        if time.monotonic() - saved_at > SAVE_EVERY_S:
            run.save()
            saved_at = time.monotonic()
        if run.spent_s > export_at:
            run.export(where)
            export_at = run.spent_s + EXPORT_EVERY_S
    if mean is not None:
        run.validate(mean)
    run.save()
    run.export(where)


def next_check(spent_s: float) -> float:
    """Validate after each minute at first, every three later."""
    gap = 60 if spent_s < 290 else 180
    return (spent_s // gap + 1) * gap
