"""Calls in forked children of their own: there is an answer however they end."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable
from typing import Any

from mic2e_bench.errors import Unavailable
from mic2e_bench.machine import tied


def answer(check: Callable[[], str]) -> dict[str, Any]:
    """What one check found, with the reason in one line."""
    try:
        return {"works": True, "detail": check()}
    except ModuleNotFoundError as error:
        return {"works": False, "detail": f"needs {error.name}, which is not installed"}
    except Unavailable as error:
        return {"works": False, "detail": str(error)}
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return {"works": False, "detail": f"{type(error).__name__}: {' '.join(lines[:2])}"[:200]}


def in_child(check: Callable[[], str], timeout_s: int) -> dict[str, Any]:
    """What a check found in a forked child, or how the child ended; what it prints is not shown."""
    with tempfile.TemporaryFile("w+") as found, tempfile.TemporaryFile() as noise:
        parent, child = os.getpid(), os.fork()
        if child == 0:
            try:
                tied.tie(parent)
                os.dup2(noise.fileno(), 1)
                os.dup2(noise.fileno(), 2)
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(timeout_s)  # the kernel ends it then, whatever it does
                json.dump(answer(check), found)
                found.flush()
                os._exit(0)
            finally:
                os._exit(1)  # never back into the caller's stack
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == -signal.SIGALRM:
            return {"works": False, "detail": f"no answer within {timeout_s} s"}
        if status < 0:
            return {"works": False, "detail": f"its process was ended by {signal.Signals(-status).name}"}
        found.seek(0)
        content = found.read()
        return json.loads(content) if content else {"works": False, "detail": f"its process exited with {status}"}
