"""What a search keeps in Optuna's study, so that the same command goes on, and whoever reads it later sees it go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import optuna
from optuna.trial import Trial, TrialState

from mic2e_bench.plan.settings import show
from mic2e_bench.tools.recommend.point import QUALITY
from mic2e_bench.tools.tune.proposals import Bench
from mic2e_bench.tools.tune.race import Look, Race
from mic2e_bench.tools.tune.sampler import params_of, point_of
from mic2e_bench.tools.tune.space import GridPoint, Space


def tell(study: optuna.Study, bench: Bench, trial: Trial, look: Look) -> None:
    """A first look, as the sampler and later readers want it."""
    trial.set_user_attr("look", asdict(look))
    given = bench.space.settings(point_of(bench.space, trial.params))
    trial.set_user_attr("differs", {name: v for name, v in given.items() if v != bench.space.baseline[name]})
    if look.costs is None:
        for name in ("failed", "blamed", "raised", "record"):
            trial.set_user_attr(name, getattr(look, name))
        study.tell(trial, state=TrialState.FAIL)
        return
    trial.set_user_attr("record", look.record)
    for name, cost, worst in zip(bench.names, look.costs, bench.worst, strict=True):
        if np.isfinite(worst):
            trial.set_constraint(name, float(cost - worst))
    pairs = zip(bench.names, look.costs, strict=True)
    study.tell(trial, [-cost if name == QUALITY else cost for name, cost in pairs])


def tell_fuller(study: optuna.Study, number: int, rung: int, look: Look) -> None:
    """A look under a fuller protocol at the point of a trial, which Optuna lets nobody change any more."""
    study.set_user_attr(f"look {rung} {number}", asdict(look))


def note(study: optuna.Study, race: Race, numbers: Mapping[GridPoint, int], **more: Any) -> None:
    """What a visit changed: the front and what may be on it, by the numbers of trials, and ``more``."""
    front, alive = ([numbers[point] for point in points] for points in (race.front(), race.alive()))
    count = sum(key.startswith("event ") for key in study.user_attrs)
    study.set_user_attr(f"event {count:05d}", {"tried": len(numbers), "front": front, "alive": alive, **more})


def recall(study: optuna.Study, bench: Bench, race: Race) -> dict[GridPoint, int]:
    """Tell a race and a bench what was looked at; returns the numbers of the trials by point.

    What was in flight when the search stopped is asked for once more.
    """
    numbers: dict[GridPoint, int] = {}
    for trial in study.get_trials(deepcopy=False):
        if trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
        elif "look" in trial.user_attrs:
            point, look = point_of(bench.space, trial.params), Look.of(trial.user_attrs["look"])
            numbers[point] = trial.number
            race.add(point, 0, look)
            bench.remember(point, look)
    at = {number: point for point, number in numbers.items()}
    for key, kept in study.user_attrs.items():
        if key.startswith("look "):
            _, rung, number = key.split()
            race.add(at[int(number)], int(rung), Look.of(kept))
    return numbers


def enqueue(study: optuna.Study, space: Space, points: Sequence[GridPoint]) -> None:
    """Points that the sampler is to propose first."""
    for point in points:
        study.enqueue_trial(params_of(space, point))


def dropped(
    space: Space, beaten: Mapping[tuple[str, int], tuple[str, int, int]], failing: Mapping[str, set[Any]]
) -> tuple[dict[str, set[Any]], list[str]]:
    """By axis the values, as Optuna stores them, that are not proposed any more; and why, a line each."""
    axes = {axis.name: axis for axis in space.axes}
    values = {name: set(given) for name, given in failing.items()}
    said = [f"{name} {show(value)}: it never worked" for name, given in failing.items() for value in given]
    for (name, value), (_, sibling, pairs) in beaten.items():
        axis = axes[name]
        values.setdefault(name, set()).add(value if axis.is_ordered else axis.choices[value])
        a, b = (show(axis.values[at]) for at in (value, sibling))
        said.append(f"{name} {a}: {b} beats it in {pairs} of {pairs} pairs")
    return values, said
