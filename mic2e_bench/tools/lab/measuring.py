"""``mic2e-bench run`` beside whoever asked for it: started, watched, stopped as Ctrl-C stops it, started again."""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from mic2e_bench import files
from mic2e_bench.machine import tied

TICK_S = 2.0  # between two looks at the records
INTERRUPTED = 130


class Measuring:
    """A run of one params file.

    ``looked()`` is called from a thread every ``TICK_S`` seconds while it runs, ``ended()`` once when it has. The
    process ends with this one. It goes on by ``start`` again: what has a record is not measured twice.
    """

    def __init__(self, file: Path, results: Path, looked: Callable[[], None], ended: Callable[[], None]) -> None:
        self.file, self.results, self.looked, self.ended = file, results, looked, ended
        self.log = file.with_name(f".{file.stem}.log")
        self.process: subprocess.Popen | None = None
        self.asked_to_stop = False
        self.is_running = False

    def start(self) -> None:
        """Start it; where it runs already, nothing happens."""
        if self.is_running:
            return
        self.is_running, self.asked_to_stop, self.process = True, False, None
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Run it from this thread to its end: the tie is to the thread that starts a process."""
        try:
            command = tied.command(
                "mic2e_bench.tools.lab.measuring", "run", str(self.file), "--results", str(self.results)
            )
            with (
                self.log.open("wb") as log,
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                ) as process,
            ):
                self.process = process
                if self.asked_to_stop:
                    self.stop()
                while process.returncode is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(TICK_S)
                    if process.returncode is None:
                        self.looked()
        finally:
            self.is_running = False  # before the end is shown: a person may go on at once
            self.ended()

    def stop(self) -> None:
        """Interrupt it and what it has started, as Ctrl-C does: what is measured is kept."""
        self.asked_to_stop = True
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGINT)

    @property
    def said(self) -> str:
        """The last line that it wrote: a progress, or why it ended."""
        lines = [line.strip() for line in files.last_words(self.log).splitlines() if line.strip()]
        return lines[-1] if lines else "starting"

    @property
    def problem(self) -> str:
        """Why it ended, where that was neither its end nor a stop; else empty."""
        code = self.process.returncode if self.process else None
        if code in (None, 0, INTERRUPTED) or self.asked_to_stop:
            return ""
        return self.said.removeprefix("mic2e-bench: ")


if __name__ == "__main__":
    # a JupyterLab that a shell started in the background has its children ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_module("mic2e_bench", run_name="__main__", alter_sys=True)
