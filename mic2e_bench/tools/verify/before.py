"""Records of an older version, whose identity covered less than was measured. They stay, and say so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import paths
from mic2e_bench.catalog.models import sources
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.records import comparable, record

LEFT_OUT = ("path", "timeout_s", "retries")  # then, wherever they stood


def identities(content: Mapping[str, Any]) -> tuple[str, str]:
    """The identity of a trial's content, and what an older version made of the same, which knew no order of inputs."""
    kept = identifying(content)
    inputs = {key: value for key, value in content["inputs"].items() if key != "order"}
    of_before = _without({**content, "settings": kept["settings"], "inputs": inputs})
    return fingerprint(kept), fingerprint(of_before)


def _without(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: _without(one) for key, one in value.items() if key not in LEFT_OUT}


def why(one: record.Record) -> str:
    """What the identity of a measured record does not cover; empty where it covers all."""
    if not comparable.is_measured(one):
        return ""
    if identities(one.raw["trial"])[0] != one.id:
        return "what is named path, timeout_s or retries was left out of it, wherever it stood"
    names = list(one.inputs.get("items", ()))
    if names != sorted(names) and "order" not in one.inputs:
        return "the order of its inputs, of which the first is timed, is not in it"
    return sources.why_before(one.model, one.memory.get("weights_bytes"))


def count(study: Study, results: Path) -> int:
    """How many records of a study have the identity of before."""
    folder = paths.of_study(results, study.name)
    there = {path.stem for path in record.paths(folder)}
    found, model = set(), sources.of_before(study.baseline.model)
    for trial in study.trials if there else ():
        _, old = identities({**trial.content, "model": model})
        for id in there.intersection((trial.id, old)):
            one = record.read_if_there(folder / f"{id}.json")
            if one and (id != trial.id or list(one.inputs["items"]) != list(trial.inputs["items"])):
                found.add(id)
    return len(found)


def text(count: int) -> str:
    """So many records have the identity of before, in a line; empty of none."""
    if not count:
        return ""
    counted = "1 record has" if count == 1 else f"{count} records have"
    return f"{counted} the identity of before, which covered less, and stay as they are: verify names them and says why"
