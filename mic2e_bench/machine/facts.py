"""What of a machine moves a number and stays as it is during a run. Read without importing torch."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
from pathlib import Path
from typing import Any

import psutil

from mic2e_bench.files import text_or_nothing
from mic2e_bench.machine import cgroup

SYSTEM = Path("/sys")
CPUFREQ = "devices/system/cpu/cpu0/cpufreq"
# what threads, allocators, kernels and devices are told from outside
VARIABLES = re.compile(
    r"(OMP|GOMP|KMP|MKL|OPENBLAS|ONEDNN|DNNL|ATEN|TORCH|PYTORCH|CUDA|CUBLAS|CUDNN|NVIDIA|TRITON|MALLOC|HF)_.*|LD_PRELOAD"
)
SECRET = re.compile("TOKEN|KEY|SECRET|PASSWORD|AUTH|_DIR$|_HOME$|_PATH$|_CACHE$")


def facts() -> dict[str, Any]:
    """Kernel, processors and their governor, limits of the control group, memory, PyTorch's build."""
    return {
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": text_or_nothing(SYSTEM / CPUFREQ / "scaling_governor") or None,
        "max_mhz": _number(text_or_nothing(SYSTEM / CPUFREQ / "scaling_max_freq"), 1e-3),
        "turbo": turbo(),
        "smt": text_or_nothing(SYSTEM / "devices/system/cpu/smt/active") or None,
        "cgroup_cpus": cgroup.cpus(),
        "cgroup_memory_bytes": cgroup.memory_bytes(),
        "ram_bytes": psutil.virtual_memory().total,
        "huge_pages": _chosen(text_or_nothing(SYSTEM / "kernel/mm/transparent_hugepage/enabled")),
        "torch_build": torch_build(),
    }


def turbo() -> bool | None:
    """Whether the processor may run above its base clock; ``None`` where the kernel does not say."""
    off = text_or_nothing(SYSTEM / "devices/system/cpu/intel_pstate/no_turbo")
    on = text_or_nothing(SYSTEM / "devices/system/cpu/cpufreq/boost")
    return off == "0" if off else on == "1" if on else None


def variables() -> dict[str, str]:
    """The environment's variables that move a number; nothing that may be secret, and no places of files."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if VARIABLES.fullmatch(name) and not SECRET.search(name)
    }


def torch_build() -> dict[str, str] | None:
    """PyTorch's commit and the CUDA that it was built for, from its ``version.py``; it is not imported."""
    found = importlib.util.find_spec("torch")
    text = text_or_nothing(Path(found.origin).parent / "version.py") if found and found.origin else ""
    parts = {name: re.search(rf"^{name}\b[^=]*= '(.+)'", text, re.MULTILINE) for name in ("git_version", "cuda", "hip")}
    return {name: part[1] for name, part in parts.items() if part} or None


def mhz() -> float | None:
    """The first processor's clock now; ``None`` where the kernel does not say. (psutil reads all, and gives a mean.)"""
    now = _number(text_or_nothing(SYSTEM / CPUFREQ / "scaling_cur_freq"), 1e-3)
    if now is None and (found := re.search(r"cpu MHz\s*: ([\d.]+)", text_or_nothing(Path("/proc/cpuinfo")))):
        now = float(found[1])
    return now


def counter(name: str) -> int | None:
    """What the kernel's vmstat has counted since its start; ``None`` where it does not, for which psutil says 0."""
    found = re.search(rf"^{name} (\d+)$", text_or_nothing(Path("/proc/vmstat")), re.MULTILINE)
    return int(found[1]) if found else None


def _chosen(text: str) -> str | None:
    """``madvise`` of ``always [madvise] never``."""
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else None


def _number(text: str, factor: float) -> float | None:
    return float(text) * factor if text.isdigit() else None
