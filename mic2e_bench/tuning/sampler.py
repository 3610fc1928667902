"""The proposer as a sampler of Optuna, which keeps the trials; and what any sampler needs to walk a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from mic2e_bench.tuning.proposer import Proposer
from mic2e_bench.tuning.space import OFF, Point, Space


class Exhausted(Exception):
    """Every point of the space was tried."""


class FrontSampler(optuna.samplers.BaseSampler):
    """Proposes points that can be measured and were not proposed before, by what the study's trials say.

    A failed trial counts as a point that never works; its attribute ``blamed`` may name the axes that are to blame.
    Raises ``Exhausted`` where no point is left.
    """

    def __init__(self, proposer: Proposer) -> None:
        self.proposer, self.space = proposer, proposer.space

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {axis.name: CategoricalDistribution(axis.choices) for axis in self.space.axes}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        known = {point_of(self.space, one.params): costs(study, one.values) for one in others if done(one)}
        running = [point_of(self.space, one.params) for one in others if one.state is TrialState.RUNNING]
        failed = {point_of(self.space, one.params): one.user_attrs.get("blamed", ()) for one in others
                  if one.state is TrialState.FAIL and one.params}  # fmt: skip
        point = self.proposer.propose(known, running, failed)
        if point is None:
            raise Exhausted
        return params_of(self.space, point)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise KeyError(f"{param_name} was asked for at a point where it means nothing")


def done(trial: FrozenTrial) -> bool:
    return trial.state is TrialState.COMPLETE


def costs(study: optuna.Study, values: Sequence[float]) -> list[float]:
    """A trial's values, turned so that lower is better."""
    return [
        value if direction is StudyDirection.MINIMIZE else -value
        for direction, value in zip(study.directions, values, strict=True)
    ]


def suggest(trial: Trial, space: Space) -> Point:
    """Ask a sampler, whichever it is, for a point: axis by axis, those without their condition left out."""
    chosen: dict[str, Any] = {}
    point = []
    for axis in space.axes:
        if space.active(axis, chosen):
            point.append(axis.choices.index(trial.suggest_categorical(axis.name, axis.choices)))
            chosen[axis.name] = axis.values[point[-1]]
        else:
            point.append(OFF)
    return tuple(point)


def params_of(space: Space, point: Point) -> dict[str, Any]:
    """A point as a trial's parameters."""
    return {axis.name: axis.choices[i] for axis, i in zip(space.axes, point, strict=True) if i != OFF}


def point_of(space: Space, params: Mapping[str, Any]) -> Point:
    """The point of a trial's parameters."""
    return tuple(axis.choices.index(params[axis.name]) if axis.name in params else OFF for axis in space.axes)
