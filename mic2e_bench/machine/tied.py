"""A process that ends with the one that started it, however that ends.

``python -m mic2e_bench.machine.tied MODULE ...`` runs a module so. The tie is to the thread that started the process:
one that shall outlive its thread must not have it.
"""

import contextlib
import ctypes
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie() -> None:
    """From now on the kernel kills this process when its parent is gone; a fork of it has no tie. Linux only."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    tie()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
