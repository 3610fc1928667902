"""Several workers: how the throughput grows with them, how long requests wait, and which policy serves them best.

::

    pool:
      workers: [1, 2]             # each a process on Ray with its own pipeline, on a GPU or a share of the processors
      policies: [least_busy, round_robin, random, first_free]
      load: [0.8]                 # of what so many workers can serve; requests arrive whether anybody is free or not
      clients: [4]                # and closed loops of so many, who send their next request when they have the last
      images: [1, 1, 1, 4]        # that a request is for, drawn from these
      arrivals: poisson           # or {bursts: SIZE}, {trace: FILE}
      requests: 100               # a run
      runs: 6                     # of each, in turns
      simulated: {workers: [1, 4, 16, 64], load: [0.5, 0.8, 0.95], service: measured, requests: 10000, runs: 8}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study
from mic2e_bench.tools.throughput import arrivals, read
from mic2e_bench.tools.throughput.kind import Figure, Job, Kind, Point
from mic2e_bench.tools.throughput.pool import real, simulated, told
from mic2e_bench.tools.throughput.pool.policies import POLICIES
from mic2e_bench.tools.throughput.record import ThroughputRecord
from mic2e_bench.units import whole

DEFAULTS = {"policies": list(POLICIES), "load": [0.8], "arrivals": "poisson", "requests": 100, "runs": 6}
DEFAULTS |= {"images": [1], "clients": []}
SIMULATED = {"workers": [1, 4, 16, 64], "load": [0.5, 0.8, 0.9, 0.95], "requests": 10_000, "runs": 8, "calls": 20}
SIMULATED |= {"policies": list(POLICIES), "arrivals": "poisson", "images": [1], "service": "measured"}


def points(asked: Mapping[str, Any], study: Study, where: str) -> list[Point]:
    """The real pool, and the simulated one."""
    read.keys(asked, ("workers", *DEFAULTS, "simulated"), where)
    found = []
    if "workers" in asked or "simulated" not in asked:
        given = {"workers": [1, 2], **DEFAULTS, **{name: asked[name] for name in asked if name != "simulated"}}
        clients = read.wholes(given["clients"], 1, 1000, f"{where}: clients") if given["clients"] != [] else []
        found.append(Point("workers", {**_checked(given, 64, where), "clients": clients}))
    if "simulated" in asked:
        wanted, place = asked["simulated"] or {}, f"{where}: simulated"
        if not isinstance(wanted, Mapping):
            raise BadInput(f"{place}: write a mapping; given: {wanted!r}.")
        read.keys(wanted, SIMULATED, place)
        given = {**SIMULATED, **wanted}
        own = {"calls": whole(given["calls"], 6, 1000, f"{place}: calls"), "simulated": True}
        own["service"] = read.names(given["service"], simulated.SERVICES, "service", f"{place}: service")[0]
        found.append(Point("simulated", {**_checked(given, 1024, place), **own}))
    return found


def _checked(given: Mapping[str, Any], most: int, where: str) -> dict[str, Any]:
    return {
        "workers": sorted(read.wholes(given["workers"], 1, most, f"{where}: workers")),
        "policies": read.names(given["policies"], POLICIES, "policy", f"{where}: policies"),
        "load": read.shares(given["load"], f"{where}: load"),
        "images": [whole(one, 1, 100, f"{where}: images") for one in read.listed(given["images"])] or [1],
        "arrivals": arrivals.check(given["arrivals"], f"{where}: arrivals"),
        "requests": whole(given["requests"], 2, 100_000, f"{where}: requests"),
        "runs": whole(given["runs"], 1, 1000, f"{where}: runs"),
    }


def measure(point: Point, job: Job) -> dict[str, Any]:
    """See ``pool/real`` and ``pool/simulated``."""
    return simulated.measure(point.asked, job) if point.asked.get("simulated") else real.measure(point.asked, job)


def text(records: Sequence[ThroughputRecord]) -> str:
    """See ``pool/told``."""
    return told.text(records)


def figures(records: Sequence[ThroughputRecord]) -> list[Figure]:
    """The scaling of the largest real pool."""
    return [figure for one in records if (figure := told.scaling(one))]


POOL = Kind(
    name="pool",
    about="several workers on Ray, or simulated: scaling, waiting times, policies",
    points=points,
    measure=measure,
    text=text,
    figures=figures,
)
