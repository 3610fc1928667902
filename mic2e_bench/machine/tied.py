"""A process that ends with the one that started it, however that ends.

The tie is to the thread that started the process: one that shall outlive its thread must not have it.
"""

import contextlib
import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """From now on the kernel kills this process when its parent is gone; a fork of it has no tie. Linux only.

    ``parent`` is that process's id: it may be gone already.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module in a process that is tied to this one."""
    return [sys.executable, "-m", "mic2e_bench.machine.tied", str(os.getpid()), module, *arguments]


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
