"""Optuna's sampler on a space: what it is asked for, and which of its proposals are worth measuring."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from mic2e_bench.tools.tune.space import OFF, Axis, GridPoint, Space

START = 10  # trials, first guesses among them, before the sampler looks at what was measured
ASKS = 25  # proposals for one trial; a sampler knows nothing of what was tried, or of what conflicts
CHANCES = 2  # failures of a value that never worked, after which it is left alone

Blame = Mapping[str, Collection[Any]]  # by axis the values that do not work here


class Exhausted(Exception):
    """Every point of the space was tried."""


def sampler(seed: int = 0) -> optuna.samplers.BaseSampler:
    """Optuna's tree-structured Parzen estimator, for settings that act together and depend on each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            n_startup_trials=START, multivariate=True, group=True, constant_liar=True, seed=seed
        )


def propose(study: optuna.Study, space: Space, taken: Collection[GridPoint], bad: Blame) -> tuple[Trial, GridPoint]:
    """The next trial that can be measured and was not yet.

    After ``ASKS`` proposals that are ``taken``, that conflict or that have a ``bad`` value, any point that is left.
    Raises ``Exhausted`` where none is.
    """

    def useful(point: GridPoint) -> bool:
        if point in taken or space.why_not(point):
            return False
        return not any(value in bad.get(name, ()) for name, value in params_of(space, point).items())

    for _ in range(ASKS):
        trial = study.ask()
        if useful(point := suggest(trial, space)):
            return trial, point
        study.tell(trial, state=TrialState.FAIL)
    left = [point for point in space.points if useful(point)]
    if not left:
        raise Exhausted
    point = left[np.random.default_rng(len(taken)).integers(len(left))]
    study.enqueue_trial(params_of(space, point))
    trial = study.ask()
    return trial, suggest(trial, space)


def suggest(trial: Trial, space: Space) -> GridPoint:
    """Ask a sampler, whichever it is, for a point: axis by axis, those without their condition left out."""

    def index(axis: Axis) -> int:
        """Numbers are asked for by their place, so that the sampler knows their order."""
        if axis.is_ordered:
            return trial.suggest_int(axis.name, 0, len(axis.values) - 1)
        return axis.choices.index(trial.suggest_categorical(axis.name, axis.choices))

    return space.point(index)


def params_of(space: Space, point: GridPoint) -> dict[str, Any]:
    """A point as a trial's parameters."""
    pairs = zip(space.axes, point, strict=True)
    return {axis.name: i if axis.is_ordered else axis.choices[i] for axis, i in pairs if i != OFF}


def point_of(space: Space, params: Mapping[str, Any]) -> GridPoint:
    """The point of a trial's parameters."""

    def index(axis: Axis) -> int:
        value = params.get(axis.name)
        return OFF if value is None else value if axis.is_ordered else axis.choices.index(value)

    return tuple(index(axis) for axis in space.axes)


def bad_values(trials: Sequence[FrozenTrial]) -> Blame:
    """The values that failed ``CHANCES`` times and never worked.

    A trial's attribute ``blamed`` names the axes that its receipts blame. Where a trial raised instead, attribute
    ``raised``, no receipt tells whose fault it was: a value is blamed where it is the only one that worked nowhere.
    """
    worked = {pair for trial in trials if trial.state is TrialState.COMPLETE for pair in trial.params.items()}
    failures: Counter[tuple[str, Any]] = Counter()
    for trial in trials:
        failures.update(pair for pair in trial.params.items() if pair[0] in trial.user_attrs.get("blamed", ()))
        unproven = trial.params.items() - worked
        if trial.user_attrs.get("raised") and len(unproven) == 1:
            failures.update(unproven)
    bad: dict[str, set[Any]] = {}
    for (name, value), count in failures.items():
        if count >= CHANCES and (name, value) not in worked:
            bad.setdefault(name, set()).add(value)
    return bad
