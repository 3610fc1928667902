"""How a trial is measured: the ``protocol`` of a params file, checked and completed.

- ``warmup``, a whole number or ``steady``: calls that are not counted, before those that are
- ``repeats``, a whole number or ``{until, min, max, budget_s}``: timed calls; with ``until``, as many as it takes
- ``seeds``, whole numbers: a picture for each input and seed
- ``timeout_s``, a whole number: seconds after which a trial is given up
- ``retries``, a whole number: how often an error or a timeout is tried again
- ``interleave``, ``true``: rounds, each trial of the study once, in random order, one call
- ``builds``, a whole number, with ``interleave``: the rounds are spread over so many fresh processes of every trial
- ``cost``, ``true``: FLOPs, bytes moved and the device's own ceilings
- ``process``, ``kept`` or ``per_call``: one process for all calls, or a new one for each

``process`` can be varied like a setting (``vary: {process: [kept, per_call]}``), and then goes before what is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mic2e_bench.documents import switch
from mic2e_bench.errors import BadInput, nearest, unknown
from mic2e_bench.units import LONGEST_S, whole

DEFAULTS = {"warmup": 1, "repeats": 5, "seeds": [42], "timeout_s": 3600, "process": "kept"}
SWITCHES = ("interleave", "cost")  # a part of a trial's identity only where they are on
KEYS = (*DEFAULTS, "retries", *SWITCHES, "builds")
UNTIL = {"until": 0.02, "min": 5, "max": 50, "budget_s": 60}
MOST_REPEATS, MOST_BUILDS = 1_000_000, 1_000
STEADY, MOST_WARMUP = "steady", 20  # calls, after which a warm-up that is not steady ends anyway


class Varied(NamedTuple):
    """A key that trials of one study may have otherwise, as they have settings."""

    values: tuple[str, ...]
    about: str


VARIED = {
    "process": Varied(
        ("kept", "per_call"),
        "per_call: a new process loads the pipeline for each timed call, as a service's worker_max_tasks_per_child=1\n"
        "does (docs: Celery, 'Max tasks per child'). It returns all memory, and each user waits for the load.\n"
        "The libraries are imported already.",
    )
}


def check(name: str, value: Any, where: str) -> Any:
    """A value of a key of ``VARIED``. Raises ``BadInput``."""
    known = VARIED[name].values
    if value not in known:
        raise BadInput(f"{where}: {name}: {value!r} is not one of {', '.join(known)}.{nearest(value, known)}")
    return value


def resolve(given: Any, where: str) -> dict[str, Any]:
    """The complete protocol. Raises ``BadInput`` naming the key, the value and what is allowed."""
    if not isinstance(given, dict):
        raise BadInput(f"{where}: protocol: write a mapping of {', '.join(KEYS)}; given: {given!r}.")
    for key in given:
        if key not in KEYS:
            raise unknown("key", key, KEYS, f"{where}: protocol")
    protocol, place = {**DEFAULTS, **given}, f"{where}: protocol"
    if protocol["warmup"] != STEADY:
        whole(protocol["warmup"], 0, 1000, f"{place}.warmup", f" or '{STEADY}'", nearest(protocol["warmup"], [STEADY]))
    if isinstance(protocol["repeats"], dict):
        protocol["repeats"] = _until(protocol["repeats"], f"{place}.repeats")
    else:
        whole(protocol["repeats"], 1, MOST_REPEATS, f"{place}.repeats", f" or a mapping of {', '.join(UNTIL)}")
    whole(protocol["timeout_s"], 1, LONGEST_S, f"{place}.timeout_s")
    whole(protocol.get("retries", 0), 0, 100, f"{place}.retries")
    seeds = protocol["seeds"]
    if not isinstance(seeds, list) or not 0 < len(seeds) <= 1000:
        raise BadInput(f"{place}.seeds: {seeds!r} is not a list of 1 to 1000 whole numbers from 0.")
    for seed in seeds:
        whole(seed, 0, 2**63 - 1, f"{place}.seeds")
    no_repeats(seeds, f"{place}.seeds")
    for key in VARIED:
        check(key, protocol[key], place)
    for key in SWITCHES:
        if switch(protocol.pop(key, False), f"{place}.{key}"):
            protocol[key] = True
    _check_turns(protocol, place)
    return protocol


def _check_turns(protocol: dict[str, Any], where: str) -> None:
    """What taking turns needs; ``builds`` are a part of a trial's identity only where there are several."""
    if "interleave" in protocol and protocol["warmup"] == 0:
        raise BadInput(f"{where}.interleave: a round has no first calls in it: give warmup from 1, or '{STEADY}'.")
    builds, repeats = protocol.get("builds", 1), protocol["repeats"]
    whole(builds, 1, MOST_BUILDS, f"{where}.builds")
    if builds == 1:
        protocol.pop("builds", None)
        return
    if "interleave" not in protocol or protocol["process"] == "per_call":
        raise BadInput(f"{where}.builds: rounds are spread over builds: give 'interleave: true' and 'process: kept'.")
    if not isinstance(repeats, int) or repeats < builds:
        needed = f"{builds} builds need as many rounds: give repeats as a whole number from {builds}"
        raise BadInput(f"{where}.builds: {needed}, not {repeats!r}.")


def no_repeats(values: Sequence[Any], where: str) -> None:
    """Raise ``BadInput`` where a value is there twice: it would be measured once, and count as two."""
    for value in values:
        if values.count(value) > 1:
            raise BadInput(f"{where}: {value!r} is there twice: take one away.")


def _until(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The complete rule of repeats that end by themselves."""
    for key in given:
        if key not in UNTIL:
            raise unknown("key", key, UNTIL, where)
    rule = {**UNTIL, **given}
    if isinstance(rule["until"], bool) or not isinstance(rule["until"], (int, float)) or not 0 < rule["until"] < 1:
        raise BadInput(f"{where}.until: {rule['until']!r} is not a share of the median between 0 and 1, such as 0.02.")
    whole(rule["min"], 1, MOST_REPEATS, f"{where}.min")
    whole(rule["max"], rule["min"], MOST_REPEATS, f"{where}.max")
    whole(rule["budget_s"], 1, LONGEST_S, f"{where}.budget_s")
    return rule


def most_calls(protocol: Mapping[str, Any]) -> int:
    """Calls of the time pass, at most."""
    warmup, repeats = protocol["warmup"], protocol["repeats"]
    return (MOST_WARMUP if warmup == STEADY else warmup) + (repeats if isinstance(repeats, int) else repeats["max"])
