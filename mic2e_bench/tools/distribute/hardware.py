"""Which hardware a study is for, and which has measured what lies there: the two are never mixed by mistake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.plan.params import Study
from mic2e_bench.records import record
from mic2e_bench.records.comparable import SAME_DEVICE, is_measured


def named(study: Study) -> str:
    """What ``hardware:`` of a params file says: a part of the device's name; empty without one. Raises ``BadInput``."""
    text = study.params.get("hardware") or ""
    if not isinstance(text, str):
        raise BadInput(f"{study.name}: hardware: {text!r} is no part of a device's name, such as H100.")
    return text


def check(studies: Iterable[Study]) -> None:
    """Raise ``BadInput`` where a study names hardware that this machine is not."""
    for study in studies:
        here = environment.here(study.baseline.settings["device"])
        if why := not_for(study, here):
            raise BadInput(f"{study.name}: {why}")


def not_for(study: Study, here: Mapping[str, Any]) -> str:
    """Why a study is not for this hardware; empty where it is."""
    wanted = named(study)
    if wanted.lower() in str(here["device"]).lower():
        return ""
    return f"hardware: {wanted} is asked for, and this is {here['device']}"


def of_store(study: Study, results: Path) -> dict[str, Any]:
    """The hardware and packages that the study's records were measured with; empty where there are none.

    Raises ``BadInput`` where they are of several.
    """
    found: dict[str, Any] = {}
    for trial in study.trials:
        one = record.read_if_there(record.path_of(results, study.name, trial.id))
        if one is None or not is_measured(one):
            continue
        place = {name: one.environment.get(name) for name in SAME_DEVICE}
        if found and place != found:
            raise BadInput(
                f"{results / study.name}: its records are of {found['device']} and of {place['device']}, "
                f"or of other packages ({differing(found, place)}): give another --results, or study: NAME."
            )
        found = place
    return found


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """In what two kinds of hardware and packages differ, with both values; empty where they agree."""
    said = []
    for name in SAME_DEVICE:
        mine, its = one.get(name), other.get(name)
        if isinstance(mine, Mapping) and isinstance(its, Mapping):
            names = [each for each in sorted({*mine, *its}) if mine.get(each) != its.get(each)]
            said += [f"{each} {mine.get(each)} and {its.get(each)}" for each in names]
        elif mine != its:
            said.append(f"{name} {mine} and {its}")
    return ", ".join(said)
