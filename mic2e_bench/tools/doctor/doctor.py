"""What this machine can do: devices, libraries that work here (each is really called), weights, disk and memory."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from mic2e_bench import paths
from mic2e_bench.catalog import registry
from mic2e_bench.machine import environment, tied, versions
from mic2e_bench.tools.doctor.libraries import CHECKS

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16")


def examine(call_libraries: bool = True) -> dict[str, Any]:
    """Everything the doctor finds, JSON-able. Every library is called in a process of its own: half a minute.

    Without ``call_libraries`` nothing is said of them.
    """
    return {
        "python": f"{platform.python_version()} on {platform.platform()}",
        "versions": versions.examine(),
        "cpu": cpu(),
        "gpus": gpus(),
        "trials_on": trials_on(),
        "libraries": libraries() if call_libraries else {},
        "lpips": lpips_weights(),
        "hub": hub(),
        "storage": storage(paths.results()),
    }


def cpu() -> dict[str, Any]:
    """Model, cores, the threads this process may use, and the instruction sets that decide 16-bit and 8-bit speed."""
    flags: set[str] = set()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
    return {
        "model": environment.cpu().rpartition(" (")[0],
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "usable_threads": len(psutil.Process().cpu_affinity()),
        "features": [feature for feature in FEATURES if feature in flags],
        "load_1min": os.getloadavg()[0],
    }


def gpus() -> list[dict[str, Any]]:
    """Every NVIDIA device that NVML sees, also those that CUDA is not shown; empty values where it has no answer."""
    import pynvml

    found: list[dict[str, Any]] = []
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            with contextlib.suppress(pynvml.NVMLError):  # one that is lost hides no other
                found.append(_gpu(pynvml.nvmlDeviceGetHandleByIndex(index)))
    return found


def _gpu(handle: Any) -> dict[str, Any]:
    import pynvml

    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    found = {
        "name": pynvml.nvmlDeviceGetName(handle),
        "compute_capability": ".".join(map(str, pynvml.nvmlDeviceGetCudaComputeCapability(handle))),
        "memory_bytes": memory.total,
        "memory_free_bytes": memory.free,
        "driver": pynvml.nvmlSystemGetDriverVersion(),
        "processes": None,
    }
    with contextlib.suppress(pynvml.NVMLError):
        found["processes"] = len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return found


def trials_on() -> dict[str, Any]:
    """The device that ``device: auto`` means here, and why it is no GPU."""
    from mic2e_bench.machine import nvidia

    gpu = environment.gpu()
    return {"device": gpu["name"] if gpu else "cpu", "problem": "" if gpu else nvidia.problem()}


def libraries() -> dict[str, dict[str, Any]]:
    """Each library with ``version`` (``None``: not installed), ``works`` and ``detail``."""
    there: dict[str, str] = {}
    for name in CHECKS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            there[name] = metadata.version("torch" if name == "inductor" else name)
    answers = call(list(there))
    absent = {"works": False, "detail": "not installed"}
    return {name: {"version": there.get(name), **answers.get(name, absent)} for name in CHECKS}


def call(names: list[str]) -> dict[str, dict[str, Any]]:
    """The answers of these checks; where not even torch can be imported, its last words for each of them."""
    command = tied.command("mic2e_bench.tools.doctor.libraries", *names)
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if ended.returncode == 0:
        return json.loads(ended.stdout)
    last = (ended.stderr.strip().splitlines() or [f"the process ended with {ended.returncode}"])[-1][:200]
    return {name: {"works": False, "detail": f"torch cannot be imported: {last}"} for name in names}


def lpips_weights() -> dict[str, Any]:
    """The backbone that LPIPS will use, the file of its weights, and where weights were looked for."""
    from mic2e_bench.catalog.metrics import perceptual

    found = perceptual.find()
    return {
        "backbone": perceptual.backbone(),
        "weights": str(found[1]) if found else None,
        "looked_for": [str(perceptual.cache() / pattern) for pattern in perceptual.PRETRAINED.values()],
    }


def hub() -> dict[str, Any]:
    """The hub's cache, whether downloads are forbidden, and which published models are in the cache."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    models = {one.hub: _cached(cache, one.hub) for one in registry.pipelines().values()}
    return {"cache": str(cache), "offline": constants.HF_HUB_OFFLINE, "models": models}


def _cached(cache: Path, model: str) -> str:
    folder = cache / f"models--{model.replace('/', '--')}"
    if not any(path.exists() for path in folder.glob("snapshots/*/**/*.safetensors")):
        return "no"
    return "partly: a download did not end" if any(folder.glob("blobs/*.incomplete")) else "yes"


def storage(results: Path) -> dict[str, Any]:
    """The results folder, whether it can be written (or its nearest parent that exists), and what is free."""
    nearest = next(folder for folder in (results, *results.parents) if folder.exists())
    reason = None
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        reason = error.strerror
    memory = psutil.virtual_memory()
    return {
        "results": str(results),
        "writable": reason is None,
        "reason": reason,
        "disk_free_bytes": shutil.disk_usage(nearest).free,
        "ram_total_bytes": memory.total,
        "ram_free_bytes": memory.available,
    }


def text(found: Mapping[str, Any]) -> str:
    """The doctor's findings as people read them."""
    from mic2e_bench.report.tabular import columns

    one, store, where, lpips, hub = (found[name] for name in ("cpu", "storage", "trials_on", "lpips", "hub"))
    features = " ".join(one["features"]) or "no features known"
    state = "can be written" if store["writable"] else f"CANNOT be written: {store['reason']}"
    lines = [
        f"python   {found['python']}",
        f"versions {versions.text(found['versions'])}",
        f"cpu      {one['model']}, {one['cores']} cores, {one['usable_threads']} usable threads, "
        f"load {one['load_1min']:.1f}; {features}",
        *map(_gpu_line, found["gpus"]),
        f"trials   on {where['device']}{where['problem'] and ': '}{where['problem']}",
        f"memory   {_gb(store['ram_total_bytes'])}, {_gb(store['ram_free_bytes'])} free",
        f"results  {store['results']}, {state}, {_gb(store['disk_free_bytes'])} of disk free",
        f"lpips    {lpips['backbone']}: {lpips['weights'] or 'no weights at ' + ', '.join(lpips['looked_for'])}",
        f"hub      {hub['cache']}, downloads {'forbidden' if hub['offline'] else 'allowed'}",
        *(f"         {name}: in the cache: {state}" for name, state in hub["models"].items()),
        "",
    ]
    if not found["libraries"]:
        return "\n".join([*lines, "The libraries were not called: there was no time for it."])
    rows = [
        (name, one["version"] or "-", "works" if one["works"] else "NO" if one["version"] else "-", one["detail"])
        for name, one in found["libraries"].items()
    ]
    return "\n".join([*lines, columns(rows, ("library", "version", "here", "what was seen"))])


def _gpu_line(one: Mapping[str, Any]) -> str:
    size = f"{_gb(one['memory_bytes'])}, {_gb(one['memory_free_bytes'])} free"
    others = f", {one['processes']} processes on it" if one["processes"] else ""
    name = f"{one['name']}, compute capability {one['compute_capability']}"
    return f"gpu      {name}, {size}{others}, driver {one['driver']}"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
