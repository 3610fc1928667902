"""What else went on while a trial was measured, and whether it was enough to move the trial's numbers.

The kernel's counters, the control group's and NVML's, before and after: a few milliseconds a trial, and no torch. The
runner reads them; its own are the processes that it and its fork server have started, also those that have ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psutil

from mic2e_bench.files import text_or_nothing
from mic2e_bench.machine import cgroup, facts

# a trial is called disturbed above these
OTHERS = 0.10  # of all processors' time went to other processes
STEAL = 0.02  # of all processors' time was taken by the hypervisor
HELD_BACK = 0.01  # of the time the control group's quota, or the GPU's power or heat, held it back
UNEVEN = 0.05  # of the highest clock of the GPU, between the lowest and the highest after a call
JUMP_S = 1.0  # that the wall clock moved against the steady one: somebody set it, or the machine slept
SHORTEST_S = 0.2  # the kernel counts in ticks of 10 ms: of a shorter trial it cannot tell a share

POWER = "its power limit"
SERVANTS = 2  # processes of a run that never measure: the fork server and multiprocessing's resource tracker


class Watch:
    """Counters from here to ``finish``; ``device`` says whether a GPU has part in it.

    ``earlier`` is what disturbed the part of the work that another run did. ``servants``: ids of processes that work
    for this one although it did not start them.
    """

    def __init__(self, device: str, servants: Sequence[int] = ()) -> None:
        self.on_gpu, self.earlier, self.servants = device.startswith("cuda"), [], servants
        self.before = _reading(self.on_gpu, servants)

    def finish(self, clocks_mhz: Sequence[float] = ()) -> dict[str, Any]:
        """What happened since, and what it means: see ``judge``."""
        found = judge(compare(self.before, _reading(self.on_gpu, self.servants)), clocks_mhz)
        return {**found, "disturbed": list(dict.fromkeys([*self.earlier, *found["disturbed"]]))}


def judge(found: Mapping[str, Any], clocks_mhz: Sequence[float] = ()) -> dict[str, Any]:
    """``during`` (what was read, SI units), ``disturbed`` (a reason for each limit that was passed), ``remarks``.

    ``clocks_mhz``: the GPU's clock after each timed call. A power limit that held it down all the time alike is
    how the card is, and a remark; one that held it down now and then disturbed the trial.
    """
    said, uneven = list(reasons(found)), is_uneven(clocks_mhz)
    remarks = [] if uneven else [reason for reason in said if reason.startswith(POWER)]
    if uneven:
        said.append(f"the GPU's clock was {min(clocks_mhz):.0f} to {max(clocks_mhz):.0f} MHz between the calls")
    return {"during": found, "disturbed": [one for one in said if one not in remarks], "remarks": remarks}


def is_uneven(clocks_mhz: Sequence[float]) -> bool:
    """Whether the GPU's clock moved between the timed calls by more than ``UNEVEN``."""
    return len(clocks_mhz) > 1 and max(clocks_mhz) - min(clocks_mhz) > UNEVEN * max(clocks_mhz)


def _reading(on_gpu: bool, servants: Sequence[int]) -> dict[str, Any]:
    busy, stolen, total = _processors()
    own_s, own = family(servants)
    return {
        "steady_s": time.monotonic(),
        "wall_s": time.time(),
        "slept_s": time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() if hasattr(time, "CLOCK_BOOTTIME") else 0,
        "busy_s": busy,
        "stolen_s": stolen,
        "total_s": total,
        "own_s": own_s,
        "throttled_s": cgroup.throttled_s(),
        "swapped_pages": facts.counter("pswpin"),  # read back since the machine's start
        "heat": _heat_events(),
        "load_1min": os.getloadavg()[0],
        "cpu_mhz": facts.mhz(),
        "gpu": _gpu(own) if on_gpu else None,
    }


def _gpu(own: list[int]) -> dict[str, Any] | None:
    """The device's state; how many ``others`` compute on it."""
    from mic2e_bench.machine import nvidia  # NVML's bindings take a moment to import

    state = nvidia.reading()
    if state and state["processes"] is not None:
        state["others"] = count_others(state["processes"], own)
    return state


def count_others(on_card: Sequence[int], own: Sequence[int]) -> int:
    """How many of the processes that compute on a card are not among our own (both: process ids).

    In a container the driver knows processes by other ids: then as many as may be ours are taken for ours.
    """
    known = set(own) & set(on_card)
    return max(0, len(on_card) - (len(known) or max(1, len(own) - SERVANTS)))


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What happened between two readings."""

    def passed(name: str) -> Any:
        return None if before[name] is None or after[name] is None else after[name] - before[name]

    seconds, total = passed("steady_s"), passed("total_s")
    long_enough = total and seconds >= SHORTEST_S
    found = {
        "seconds": seconds,
        "cpu_by_others": max(0.0, passed("busy_s") - passed("own_s")) / total if long_enough else None,
        "cpu_stolen": passed("stolen_s") / total if long_enough else None,
        "throttled_s": passed("throttled_s"),
        "swapped_pages": passed("swapped_pages"),
        "heat_events": passed("heat"),
        "clock_jump_s": passed("wall_s") - seconds,
        "slept_s": passed("slept_s"),
        **{name: [before[name], after[name]] for name in ("load_1min", "cpu_mhz")},
    }
    if after["gpu"]:
        found["gpu"] = {"before": before["gpu"], "after": after["gpu"]}
    return found


def reasons(found: Mapping[str, Any]) -> Iterator[str]:
    """Why the numbers of a trial cannot be taken for those of a quiet machine; nothing where they can."""
    seconds = found["seconds"]
    if (found["cpu_by_others"] or 0) > OTHERS:
        yield f"other processes used {found['cpu_by_others']:.0%} of the processors"
    if (found["cpu_stolen"] or 0) > STEAL:
        yield f"the hypervisor took {found['cpu_stolen']:.0%} of the processors"
    if (found["throttled_s"] or 0) > HELD_BACK * seconds:
        yield f"the control group's CPU quota held it back for {found['throttled_s']:.1f} s"
    if found["swapped_pages"]:
        yield f"{found['swapped_pages']} pages came back from swap"
    if found["heat_events"]:
        yield f"the processor was throttled for heat {found['heat_events']} times"
    if found["slept_s"] > JUMP_S:
        yield f"the machine slept for {found['slept_s']:.0f} s"
    elif abs(found["clock_jump_s"]) > JUMP_S:
        yield f"the wall clock was moved by {found['clock_jump_s']:+.0f} s (times are of the steady clock)"
    if found.get("gpu"):
        yield from _gpu_reasons(found["gpu"]["before"] or {}, found["gpu"]["after"], seconds)


def _gpu_reasons(before: Mapping[str, Any], after: Mapping[str, Any], seconds: float) -> Iterator[str]:
    names = {"power_s": POWER, "thermal_s": "its temperature"}
    held = {}
    for name, text in names.items():
        old, new = before.get("throttled", {}).get(name), after["throttled"][name]
        if old is not None and new is not None and new - old > HELD_BACK * seconds:
            held[text] = f"{text} held the GPU's clocks down for {new - old:.1f} s"
    yield from held.values()
    for text in after["throttled_by"]:
        if text not in held:
            yield f"{text} held the GPU's clocks down at the end"
    if after.get("others"):
        yield f"{after['others']} other processes computed on the GPU"


def _processors() -> tuple[float, float, float]:
    """Seconds since the machine's start that its processors were busy, stolen by the hypervisor, and all in all."""
    times = psutil.cpu_times()._asdict()  # the kernel counts a guest's time into user and nice already
    idle, stolen = times["idle"] + times.get("iowait", 0.0), times.get("steal", 0.0)
    busy = sum(times.get(name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
    return busy, stolen, busy + idle + stolen


def family(servants: Sequence[int] = ()) -> tuple[float, list[int]]:
    """Seconds that processors gave to this process and to all that it started, and the ids of those that live.

    ``servants``: ids of more that count as started.
    """
    own, ids = sum(os.times()[:4]), []
    started = [child.pid for child in psutil.Process().children(recursive=True)]
    for id in dict.fromkeys([*started, *servants]):
        try:
            own += sum(psutil.Process(id).cpu_times()[:4])
            ids.append(id)
        except psutil.Error:  # it has just ended; who started it has its time from now on
            continue
    return own, ids


def _heat_events() -> int | None:
    """How often the processors were slowed down for heat since the machine's start."""
    paths = facts.SYSTEM.glob("devices/system/cpu/cpu*/thermal_throttle/*_throttle_count")
    counts = [int(text) for path in paths if (text := text_or_nothing(path)).isdigit()]
    return sum(counts) if counts else None
