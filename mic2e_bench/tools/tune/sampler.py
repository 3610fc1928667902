"""Optuna's sampler on a space: what it is asked for, and which of its proposals are worth measuring."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from mic2e_bench.errors import unknown
from mic2e_bench.tools.tune.space import OFF, Axis, GridPoint, Space

POPULATION, MUTATION = 24, 0.25  # trials of a generation; how often a child has a value that neither parent has
ASKS = 25  # proposals for one trial; a sampler knows nothing of what was tried, or of what conflicts
CHANCES = 2  # errors of a value that never worked, after which it is left alone; a receipt says it at once

Blame = Mapping[str, Collection[Any]]  # by axis the values that do not work here


class Exhausted(Exception):
    """Every point of the space was tried."""


SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(population_size=POPULATION, mutation_prob=MUTATION, seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
BY_DEFAULT = "nsga2"  # children of the front so far; the benchmark of searches has its rivals beside it


def sampler(name: str = BY_DEFAULT, seed: int = 0) -> optuna.samplers.BaseSampler:
    """One of Optuna's samplers. Raises ``BadInput`` for a name that is none of ``SAMPLERS``."""
    if name not in SAMPLERS:
        raise unknown("sampler", name, SAMPLERS, "--sampler")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[name](seed)


def propose(study: optuna.Study, space: Space, worth: Collection[GridPoint]) -> tuple[Trial, GridPoint]:
    """The next trial whose point is ``worth`` a look.

    After ``ASKS`` proposals that are not, any point that is. Raises ``Exhausted`` where there is none.
    """
    if not worth:
        raise Exhausted
    for _ in range(ASKS):
        trial = study.ask()
        if (point := suggest(trial, space)) in worth:
            return trial, point
        study.tell(trial, state=TrialState.FAIL)
    left = sorted(worth)
    point = left[np.random.default_rng(len(study.get_trials(deepcopy=False))).integers(len(left))]
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
    """The values that never worked: a receipt says that they did nothing, or they failed ``CHANCES`` times.

    A trial's attribute ``blamed`` names the axes that its receipts blame. Where a trial raised instead, attribute
    ``raised``, no receipt tells whose fault it was: a value is blamed where it is the only one that worked nowhere.
    """
    worked = {pair for trial in trials if trial.state is TrialState.COMPLETE for pair in trial.params.items()}
    failures: Counter[tuple[str, Any]] = Counter()
    for trial in trials:
        blamed = trial.user_attrs.get("blamed", ())
        failures.update({pair: CHANCES for pair in trial.params.items() if pair[0] in blamed})
        unproven = trial.params.items() - worked
        if trial.user_attrs.get("raised") and len(unproven) == 1:
            failures.update(unproven)
    bad: dict[str, set[Any]] = {}
    for (name, value), count in failures.items():
        if count >= CHANCES and (name, value) not in worked:
            bad.setdefault(name, set()).add(value)
    return bad
