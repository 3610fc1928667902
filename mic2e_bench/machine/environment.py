"""The environment that a record was measured in. Read without importing torch."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mic2e_bench import paths
from mic2e_bench.files import text_or_nothing
from mic2e_bench.machine import facts

PACKAGES = (
    "torch", "torchvision", "diffusers", "transformers", "accelerate", "xformers", "bitsandbytes", "torchao",
    "lpips", "torchmetrics", "safetensors", "onnxruntime", "numpy", "pillow",
)  # fmt: skip


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def here(device: str) -> dict[str, Any]:
    """Host, device, driver, versions, git state and what else of the machine moves a number, as the record stores them;
    ``load_1min`` and the variables are those of this moment.
    """
    moment = {"load_1min": os.getloadavg()[0], "variables": facts.variables()}
    return {**_fixed(device), "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"), **moment}


@functools.cache
def _fixed(device: str) -> Mapping[str, Any]:
    """What stays as it is during a run; on CUDA with what is set on the device."""
    from mic2e_bench.machine import nvidia  # NVML's bindings take a moment to import

    return {
        "host": platform.node(),
        "boot": text_or_nothing(Path("/proc/sys/kernel/random/boot_id")) or None,  # the same in all its containers
        "device": gpu()["name"] if device.startswith("cuda") and gpu() else cpu(),
        "driver": gpu()["driver"] if device.startswith("cuda") and gpu() else None,
        "python": platform.python_version(),
        "packages": packages(),
        "git": git(),
        **facts.facts(),
        "gpu": nvidia.fixed() if device.startswith("cuda") else None,
    }


def host(now: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> str:
    """The name of this host for a new record beside others: theirs, where they are of this boot of the machine.

    Each container has another name. One that is among theirs, or of another boot, stays.
    """
    known = [other.get("host") for other in others if now["boot"] and other.get("boot") == now["boot"]]
    return known[0] if known and now["host"] not in known else now["host"]


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
    import pynvml  # this takes a moment, as the next does for it

    from mic2e_bench.machine import nvidia

    name, memory = nvidia.ask(pynvml.nvmlDeviceGetName), nvidia.ask(pynvml.nvmlDeviceGetMemoryInfo)
    if name is None or memory is None:
        return None
    return {"name": name, "driver": pynvml.nvmlSystemGetDriverVersion(), "memory_bytes": memory.total}


def git() -> str | None:
    """The commit of the working folder, with ``-dirty`` where it was changed; ``None`` outside a repository.

    A copy without a history has it in its file COMMIT, wherever that copy lies.
    """
    own = paths.PACKAGE.parent
    if not (own / ".git").exists() and (written := _written(own)):
        return written
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return _written(paths.root())
    return found.stdout.strip()


def _written(folder: Path) -> str | None:
    return text_or_nothing(folder / "COMMIT")[:80] or None
