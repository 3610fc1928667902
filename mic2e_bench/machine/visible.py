"""The NVIDIA devices that CUDA shows to this process, asked of the driver alone; where there are none, why.

CUDA itself is never asked: a process that has started it can fork no more children that use it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import pynvml

from mic2e_bench.machine import facts

ORDER = "CUDA_DEVICE_ORDER"
SAME_ORDER = "PCI_BUS_ID"  # the driver's order; CUDA's own default puts the fastest device first

# what PyTorch and CUDA say where there is no device that could be used
NO_DEVICE = (
    "no CUDA-capable device",
    "busy or unavailable",
    "Found no NVIDIA driver",
    "CUDA driver initialization failed",
    "CUDA unknown error",
)


def is_no_device(error: BaseException) -> bool:
    """Whether an exception says that there is no device that could be used."""
    return any(phrase in str(error) for phrase in NO_DEVICE)


@dataclass(frozen=True)
class Visible:
    """``handles`` of NVML in CUDA's order; where it is empty, ``problem`` says why in one line.

    ``driver`` tells whether there is an NVIDIA driver at all: without one a machine simply has no GPU.
    """

    handles: tuple[Any, ...] = ()
    problem: str = ""
    driver: bool = True


def look() -> Visible:
    """What CUDA shows to this process, ``CUDA_VISIBLE_DEVICES`` and MIG included."""
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        absent = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
        if error.value in absent:
            return Visible(problem=f"no NVIDIA driver here ({error})", driver=False)
        return Visible(problem=f"the NVIDIA driver does not answer ({error})")
    if not handles:
        return Visible(problem="the NVIDIA driver is here, and it sees no card")
    # read by CUDA when it starts, in this process or a child: its device 0 must be the driver's
    os.environ.setdefault(ORDER, SAME_ORDER)
    build = facts.torch_build()
    if build is not None and "cuda" not in build:
        return Visible(problem="this PyTorch is built without CUDA; install the CUDA build of the same version")
    return _chosen(handles, os.environ.get("CUDA_VISIBLE_DEVICES"))


def hidden() -> str:
    """One line for a machine with an NVIDIA driver that has no CUDA device all the same; else an empty text."""
    found = look()
    return f"device auto is cpu here: {found.problem}" if found.problem and found.driver else ""


def warn() -> None:
    """The line of ``hidden`` on standard error."""
    if said := hidden():
        print(said, file=sys.stderr)


def _chosen(handles: list[Any], asked: str | None) -> Visible:
    """The devices among ``handles`` that ``CUDA_VISIBLE_DEVICES`` names; like CUDA it ends at the first bad name."""
    there = f"the driver sees {', '.join(f'{index}: {_name(handle)}' for index, handle in enumerate(handles))}"
    names = range(len(handles)) if asked is None else [part.strip() for part in asked.split(",")]
    found: list[Any] = []
    for name in map(str, names):
        handle = _named(name, handles)
        if handle is None:
            break
        if name.isdecimal() and not _numbered_alike(handles):
            return Visible(
                problem=f"{ORDER}={os.environ[ORDER]} numbers different cards otherwise than the driver does; {there}. "
                f"Set {ORDER}={SAME_ORDER}, or choose one by CUDA_VISIBLE_DEVICES=UUID"
            )
        found.append(handle)
    if not found:
        hides = "hides every card" if asked.strip() in ("", "-1") else "names no card that is here"
        return Visible(problem=f"CUDA_VISIBLE_DEVICES='{asked}' {hides}; {there}")
    return _without_whole_mig(found, there)


def _named(name: str, handles: list[Any]) -> Any:
    """The device with this number, UUID (or the start of one) or MIG instance; ``None`` where there is none."""
    if name.isdecimal():
        return handles[int(name)] if int(name) < len(handles) else None
    try:
        if name.startswith("MIG-"):
            return pynvml.nvmlDeviceGetHandleByUUID(name)
        fitting = [handle for handle in handles if pynvml.nvmlDeviceGetUUID(handle).startswith(name)]
    except pynvml.NVMLError:
        return None
    return fitting[0] if len(fitting) == 1 and name else None


def _numbered_alike(handles: list[Any]) -> bool:
    """Whether a number is the same device for CUDA and the driver: cards of one kind, or one order for both."""
    return len({_name(handle) for handle in handles}) == 1 or os.environ[ORDER] == SAME_ORDER


def _without_whole_mig(handles: list[Any], there: str) -> Visible:
    """A card in MIG mode is no device: CUDA would take one of its instances, and the driver's figures be the card's."""
    if not _in_mig_mode(handles[0]):
        return Visible(tuple(handles))
    instances = ", ".join(_instances(handles[0])) or "it has none yet"
    return Visible(
        problem=f"the card is in MIG mode: choose an instance, CUDA_VISIBLE_DEVICES=MIG-... ({instances}); {there}"
    )


def _in_mig_mode(handle: Any) -> bool:
    try:
        return not pynvml.nvmlDeviceIsMigDeviceHandle(handle) and pynvml.nvmlDeviceGetMigMode(handle)[0] == 1
    except pynvml.NVMLError:  # a card that has no such mode
        return False


def _instances(handle: Any) -> list[str]:
    found = []
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            found.append(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)))
        except pynvml.NVMLError:  # a place without an instance
            continue
    return found


def _name(handle: Any) -> str:
    try:
        return pynvml.nvmlDeviceGetName(handle)
    except pynvml.NVMLError:
        return "a card without a name"
