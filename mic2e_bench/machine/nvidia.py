"""The NVIDIA device as its driver sees it: no torch, no CUDA context. Everything is ``None`` without one."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import pynvml

from mic2e_bench.machine import visible

# why a driver may hold the clocks down; idling and clocks that a person has set are no reasons
THROTTLING = {
    pynvml.nvmlClocksEventReasonSwPowerCap: "its power limit",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "its temperature",
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "its temperature (in hardware)",
    pynvml.nvmlClocksEventReasonHwSlowdown: "a slowdown in hardware",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "the power supply's brake",
    pynvml.nvmlClocksEventReasonSyncBoost: "a slower device in its sync-boost group",
}
COUNTED = {"power_s": pynvml.NVML_PERF_POLICY_POWER, "thermal_s": pynvml.NVML_PERF_POLICY_THERMAL}


@functools.cache
def handle() -> Any:
    """The device that CUDA calls 0; ``None`` without one."""
    return next(iter(visible.look().handles), None)


def problem() -> str:
    """Why there is no device, in one line; empty where there is one."""
    found = visible.look()
    # the driver shows one, but it does not say what a device is asked first
    return found.problem or ("" if ask(pynvml.nvmlDeviceGetName) else "the driver does not tell its name and memory")


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """What NVML answers about the device; ``None`` where it has no answer, or there is no device any more."""
    if handle() is None:
        return None
    with contextlib.suppress(pynvml.NVMLError):
        return function(handle(), *arguments)
    return None


def fixed() -> dict[str, Any] | None:
    """What was set before the run: power limit (watts), top clocks (MHz), ECC, persistence and MIG mode."""
    if handle() is None:
        return None
    limit = ask(pynvml.nvmlDeviceGetEnforcedPowerLimit)
    return {
        "power_limit_w": limit and limit / 1000,
        "max_sm_mhz": ask(pynvml.nvmlDeviceGetMaxClockInfo, pynvml.NVML_CLOCK_SM),
        "max_memory_mhz": ask(pynvml.nvmlDeviceGetMaxClockInfo, pynvml.NVML_CLOCK_MEM),
        "ecc": _on(ask(pynvml.nvmlDeviceGetEccMode)),
        "persistence": _on(ask(pynvml.nvmlDeviceGetPersistenceMode)),
        "mig": _on(ask(pynvml.nvmlDeviceGetMigMode)),
    }


def _on(mode: Any) -> bool | None:
    """A mode, or the first (the current one) of a mode and the mode after a restart."""
    mode = mode[0] if isinstance(mode, (list, tuple)) else mode
    return None if mode is None else bool(mode)


def reading() -> dict[str, Any] | None:
    """How the device is now.

    Clocks (MHz), power (watts), temperature (°C), what holds its clocks down, seconds since the driver's start in
    which power or heat did so, memory (bytes), and the ids of the processes that compute on it.
    """
    if handle() is None:
        return None
    power, reasons = ask(pynvml.nvmlDeviceGetPowerUsage), ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons)
    processes = ask(pynvml.nvmlDeviceGetComputeRunningProcesses)
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo)
    counted = {name: ask(pynvml.nvmlDeviceGetViolationStatus, policy) for name, policy in COUNTED.items()}
    return {
        "sm_mhz": ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM),
        "memory_mhz": ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_MEM),
        "power_w": power and power / 1000,
        "temperature_c": ask(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU),
        "throttled_by": [text for bit, text in THROTTLING.items() if (reasons or 0) & bit],
        "throttled": {name: found and found.violationTime / 1e9 for name, found in counted.items()},
        "used_bytes": memory and memory.used,
        "total_bytes": memory and memory.total,
        "processes": None if processes is None else sorted(one.pid for one in processes),
    }
