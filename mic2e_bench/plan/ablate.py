"""``ablate:`` of a params file: the trials that show what each setting does alone and among the others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.documents import switch
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.plan.settings import check, words

KEYS = ("best", "pairs")
Changes = dict[str, Any]


def points(given: Any, base: Mapping[str, Any], pipeline: Pipeline, where: str) -> list[tuple[str, Changes]]:
    """The trials of ``ablate:`` beside the baseline: each setting added to it, the best, the best without each setting
    and, where ``pairs`` asks for them, all pairs. Settings of ``best`` that the baseline has already play no part.
    """
    if not isinstance(given, Mapping) or not isinstance(given.get("best"), Mapping):
        raise BadInput(f"{where}: write best: {{setting: value}} (and pairs: true for all pairs); given: {given!r}.")
    for key in given:
        if key not in KEYS:
            raise unknown("key", key, KEYS, where)
    checked = {key: check(key, value, pipeline, f"{where}: best") for key, value in given["best"].items()}
    best = {key: value for key, value in checked.items() if base[key] != value}
    if not best:
        raise BadInput(f"{where}: best differs from the baseline in nothing; give it at least one other value.")
    made = [(f"+ {words({key: value})}", {key: value}) for key, value in best.items()]
    made.append(("best", best))
    made += [(f"best - {key}", without(best, key)) for key in best]
    if switch(given.get("pairs", False), f"{where}: pairs"):
        made += [(f"+ {words(dict(pair))}", dict(pair)) for pair in itertools.combinations(best.items(), 2)]
    return made


def without(best: Mapping[str, Any], key: str) -> Changes:
    return {name: value for name, value in best.items() if name != key}
