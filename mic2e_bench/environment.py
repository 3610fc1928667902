"""The environment that a record was measured in. Read without importing torch."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mic2e_bench import machine, places
from mic2e_bench.errors import BadInput
from mic2e_bench.files import text_or_nothing

PACKAGES = (
    "torch", "torchvision", "diffusers", "transformers", "accelerate", "xformers", "bitsandbytes", "torchao",
    "lpips", "torchmetrics", "safetensors", "onnxruntime", "numpy", "pillow",
)  # fmt: skip
# two records can be compared only where these agree
SAME = ("host", "device", "driver", "python", "packages")
# figures that stand side by side, each with its device: a GPU that is lent has another host's name each time
SAME_DEVICE = tuple(name for name in SAME if name != "host")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def here(device: str) -> dict[str, Any]:
    """Host, device, driver, versions, git state and what else of the machine moves a number, as the record stores them;
    ``load_1min`` and the variables are those of this moment.
    """
    moment = {"load_1min": os.getloadavg()[0], "variables": machine.variables()}
    return {**_fixed(device), "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"), **moment}


@functools.cache
def _fixed(device: str) -> Mapping[str, Any]:
    """What stays as it is during a run."""
    return {
        "host": platform.node(),
        "device": gpu()["name"] if device.startswith("cuda") and gpu() else cpu(),
        "driver": gpu()["driver"] if device.startswith("cuda") and gpu() else None,
        "python": platform.python_version(),
        "packages": packages(),
        "git": git(),
        **machine.facts(device),
    }


def packages() -> dict[str, str]:
    """Installed versions of the packages that move a number."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def cpu() -> str:
    """The processor's name and the number of cores."""
    found = re.search(r"^model name\s*:(.*)", text_or_nothing(Path("/proc/cpuinfo")), re.MULTILINE)  # not in psutil
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{name} ({os.cpu_count()} cores)"


@functools.cache
def gpu() -> Mapping[str, Any] | None:
    """Name, driver and memory of the NVIDIA device that CUDA calls 0; ``None`` where there is none."""
    import pynvml

    from mic2e_bench import nvidia

    name, memory = nvidia.ask(pynvml.nvmlDeviceGetName), nvidia.ask(pynvml.nvmlDeviceGetMemoryInfo)
    if name is None or memory is None:
        return None
    return {"name": name, "driver": pynvml.nvmlSystemGetDriverVersion(), "memory_bytes": memory.total}


def git() -> str | None:
    """The commit of the working folder, with ``-dirty`` where it was changed; ``None`` outside a repository.

    A copy without a history has it in its file COMMIT, wherever that copy lies.
    """
    own = Path(__file__).resolve().parent.parent
    if not (own / ".git").exists() and (written := _written(own)):
        return written
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return _written(places.root())
    return found.stdout.strip()


def _written(folder: Path) -> str | None:
    return text_or_nothing(folder / "COMMIT")[:80] or None


def oom_kills() -> int:
    """How often the kernel's out-of-memory killer has struck; 0 where it does not say."""
    return machine.counter("oom_kill") or 0


def require_one(records: Iterable[Mapping[str, Any]], names: Sequence[str] = SAME) -> None:
    """Refuse to put records of different environments into one table. Raises ``BadInput`` naming what differs.

    ``names``: in what they must agree.
    """
    first = None
    for record in (r for r in records if r["status"] in ("ok", "not_applied")):
        first = first or record
        for name in names:
            mine, other = record["environment"].get(name), first["environment"].get(name)
            if mine != other:
                raise BadInput(
                    f"{record['study']}: records {first['id']} and {record['id']} were measured "
                    f"in different environments "
                    f"({name}: {_difference(other, mine)}). Measure them again (run --rerun) or ask for it (--mixed)."
                )


def _difference(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
        return ", ".join(f"{name} {one.get(name)} and {other.get(name)}" for name in names)
    return f"{one} and {other}"
