"""The limits of this process's control groups, and how often they held it back. Linux, both versions; not in psutil."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mic2e_bench.files import text_or_nothing

PROC, ROOT = Path("/proc"), Path("/sys/fs/cgroup")
NO_LIMIT = 2**60  # version 1 writes a number of pages near this for "no limit"


def cpus() -> float | None:
    """How many processors' time the tightest quota allows; ``None`` where there is none."""
    quotas = []
    for folder in _folders("cpu"):
        words = _words(folder / "cpu.max") or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(words) == 2 and words[0].isdigit():
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def memory_bytes() -> int | None:
    """The tightest limit of memory; ``None`` where there is none."""
    limits = []
    for folder in _folders("memory"):
        words = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
        limits += [int(word) for word in words if word.isdigit() and int(word) < NO_LIMIT]
    return min(limits, default=None)


def throttled_s() -> float | None:
    """Seconds since the start of the group in which a quota held its processes back; ``None`` where nobody counts."""
    found = []
    for folder in _folders("cpu"):
        words = _words(folder / "cpu.stat")
        counts = dict(zip(words[::2], words[1::2], strict=False))
        if "throttled_usec" in counts:
            found.append(int(counts["throttled_usec"]) / 1e6)
        elif "throttled_time" in counts:
            found.append(int(counts["throttled_time"]) / 1e9)
    return max(found, default=None)


def _folders(controller: str) -> Iterator[Path]:
    """The folders of this process's group and of the groups around it, up to the root that is mounted here."""
    for line in text_or_nothing(PROC / "self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = ROOT / controllers.removeprefix("name=") if controllers else ROOT
        # in a container the path may be the host's, of which only the root is mounted
        here = root / group.strip("/")
        yield from (folder for folder in (here, *here.parents) if folder.is_relative_to(root) and folder.is_dir())


def _words(path: Path) -> list[str]:
    return text_or_nothing(path).split()
