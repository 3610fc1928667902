"""What else went on while a run was measured, where the server that is measured works on the same machine: it is no
disturbance of its own runs, and one of ours if it works in them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import psutil

from mic2e_bench.machine import conditions
from mic2e_bench.tools.throughput.peers.http import is_loopback


class Beside:
    """A watch over one run; ``serves`` says whether it is one of the server's at ``url``."""

    def __init__(self, device: str, url: str, serves: bool) -> None:
        self.server = process_at(url) if is_loopback(url) else None
        self.serves, self.used_s = serves, processor_s(self.server)
        self.watch = conditions.Watch(device)

    def finish(self) -> dict[str, Any]:
        """``during``, ``disturbed`` and ``remarks``, as of ``conditions.judge``, of all that is no part of the run."""
        during = self.watch.finish()["during"]
        if self.server and during.get("gpu"):
            after = during["gpu"]["after"]
            # it stays on the card between its runs, with nothing loaded
            during["gpu"]["after"] = {**after, "others": max(0, (after.get("others") or 0) - 1)}
        if self.serves and during["cpu_by_others"] is not None:
            share = (processor_s(self.server) - self.used_s) / (during["seconds"] * psutil.cpu_count())
            during["cpu_by_others"] = max(0.0, during["cpu_by_others"] - share)
        return conditions.judge(during)


def process_at(url: str) -> psutil.Process | None:
    """The process on this machine that listens at an address's port; ``None`` where that cannot be seen."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        found = next((one.pid for one in listening if one.laddr.port == port and one.pid), None)
        return psutil.Process(found) if found else None
    except (psutil.Error, OSError):
        return None


def processor_s(process: psutil.Process | None) -> float:
    """Seconds that processors gave to a process and to what it started; 0 where it is not there."""
    if process is None:
        return 0.0
    try:
        return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0.0
