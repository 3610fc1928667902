"""An NVIDIA driver that is not there: NVML's answers for cards that a test makes up, and a recorder of who starts CUDA.

As a script, ``python pretended.py FILE`` does in one process, on a machine whose driver shows one card, what each
command does in its own: the doctor, the process that forks for each library, and then the lists of arguments in this
JSON file. Who has started CUDA is the last line on standard error, as JSON: a list for each, one for the fork server.
"""

from __future__ import annotations

import json
import multiprocessing.forkserver
import os
import sys
import traceback
from pathlib import Path
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


def into_server(told):
    """The fork server of this process has such a driver while it imports, and writes who started CUDA to this file."""
    real = multiprocessing.forkserver.set_forkserver_preload
    multiprocessing.forkserver.set_forkserver_preload = lambda names: real([*names[:-1], "pretended_server", names[-1]])
    os.environ["STARTS_IN_SERVER"] = str(told)
    # Python 3.11's server does not get this process's sys.path
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))


def main(file):
    from mic2e_bench import cli
    from mic2e_bench.tools.doctor import doctor, libraries

    commands, told, starts, found = json.loads(Path(file).read_text()), Path(f"{file}.starts"), [], {}
    driver(setattr, [card()])
    recorder(setattr, starts)
    into_server(told)
    print(doctor.text(doctor.examine(call_libraries=False)), flush=True)
    found["doctor"], starts[:] = starts[:], []
    libraries.main(["torch"])  # from here on, what is printed goes to standard error
    found["libraries"], starts[:] = starts[:], []
    found["codes"] = [cli.main(one) for one in commands]
    found |= {"commands": starts, "server": json.loads(told.read_text())}
    print(json.dumps(found), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
