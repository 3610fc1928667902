"""An NVIDIA driver that is not there: NVML's answers for cards that a test makes up, and a recorder of who starts CUDA.

As a script, ``python pretended.py MODULE ARGUMENT... [+ ARGUMENT...]`` runs the module's ``main`` in a process whose
driver shows one card, once for each list of arguments, and prints on standard error, last, each start of CUDA as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from types import SimpleNamespace

import pynvml

GIB = 2**30


def card(name="NVIDIA H100 80GB HBM3", total=80 * GIB, used=GIB, uuid="GPU-1111", mig=None, capability=(9, 0)):
    """One card; ``mig`` is a list of instances' UUIDs where the card is in MIG mode."""
    return SimpleNamespace(**locals())


def answers(cards):
    """NVML's functions by name; the others have no answer."""

    def by_index(index):
        if index >= len(cards):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return cards[index]

    def by_uuid(uuid):
        for one in cards:
            if uuid in (one.mig or []):
                return card(f"{one.name} MIG", one.total // 7, 0, uuid)
            if one.uuid == uuid:
                return one
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def instance(one, index):
        if index >= len(one.mig or []):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return SimpleNamespace(uuid=one.mig[index])

    return {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: "580.1",
        "nvmlDeviceGetCount": lambda: len(cards),
        "nvmlDeviceGetHandleByIndex": by_index,
        "nvmlDeviceGetHandleByUUID": by_uuid,
        "nvmlDeviceGetName": lambda one: one.name,
        "nvmlDeviceGetUUID": lambda one: one.uuid,
        "nvmlDeviceGetMemoryInfo": lambda one: SimpleNamespace(
            total=one.total, used=one.used, free=one.total - one.used
        ),
        "nvmlDeviceGetCudaComputeCapability": lambda one: one.capability,
        "nvmlDeviceIsMigDeviceHandle": lambda one: one.name.endswith("MIG"),
        "nvmlDeviceGetMigMode": lambda one: [int(one.mig is not None)] * 2,
        "nvmlDeviceGetMaxMigDeviceCount": lambda one: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": instance,
    }


def driver(put, cards, **changes):
    """Put such a driver in NVML's place by ``put(module, name, function)``; ``changes`` replace answers by name."""

    def nothing(*arguments):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name in dir(pynvml):
        if name.startswith(("nvmlDeviceGet", "nvmlDeviceIs", "nvmlSystemGet")):
            put(pynvml, name, nothing)
    for name, answer in {**answers(cards), **changes}.items():
        put(pynvml, name, answer)


def recorder(put, starts):
    """From now on each start of CUDA is a line in ``starts`` instead, and there is one device."""
    import torch

    def note(*arguments):
        stack = [frame for frame in traceback.extract_stack()[:-1] if "importlib" not in frame.filename]
        starts.append(" < ".join(f"{frame.filename}:{frame.lineno}" for frame in stack[::-1][:4]))
        return 1

    put(torch.cuda, "_lazy_init", note)
    put(torch._C, "_cuda_getDeviceCount", note)
    put(torch._C, "_cuda_getDevice", lambda: 0)
    put(torch.cuda, "_device_count_nvml", lambda: 1)
    properties = SimpleNamespace(major=9, minor=0, name="H100", total_memory=80 * GIB, multi_processor_count=132)
    put(torch.cuda, "_get_device_properties", lambda device: properties)


def main(module, *arguments):
    """Run a module's ``main`` as a machine with one card would; the exit code is the last one's."""
    starts, code = [], 0
    driver(setattr, [card()])
    recorder(setattr, starts)
    try:
        found = importlib.import_module(module)
        for given in "\0".join(arguments).split("\0+\0") if hasattr(found, "main") else ():
            code = found.main(given.split("\0"))
        return code
    finally:
        print(json.dumps(starts), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
