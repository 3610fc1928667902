"""From Python and from notebooks: the same studies and identities as from the command line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench.errors import BadInput

if TYPE_CHECKING:
    import pandas

    from mic2e_bench.plan.params import Study
    from mic2e_bench.run.runner import Summary
    from mic2e_bench.tools.apply.apply import Applied
    from mic2e_bench.tools.budget.budget import Budget
    from mic2e_bench.tools.distribute.ray import Executor


def study(params: str | Path | Mapping[str, Any], **changes: Any) -> Any:
    """Resolve a params file of one study, or its content as a mapping; ``changes`` replace top-level keys.

    Raises ``BadInput``.
    """
    from mic2e_bench.plan import params as reader

    if isinstance(params, Mapping):
        return reader.resolve_study({**params, **changes})
    return reader.resolve_study({**reader.content(params), **changes}, str(params))


def run(
    *params: str | Path | Mapping[str, Any] | Any,
    results: str | Path | None = None,
    rerun: bool | str = False,
    force: bool = False,
    lpips_weights: str | Path | None = None,
    budget: str | Budget | None = None,
    pack_results: str | Path | None = None,
    part: str = "15MiB",
    executor: Executor | None = None,
) -> Summary:
    """Measure and score studies (params files, their content, or resolved ones).

    What has a measured record already is not measured again, but with ``rerun``: ``True`` all, ``"disturbed"`` what
    other work disturbed.

    ``results`` is the results folder (default: the workbench's own); ``lpips_weights`` a file of ImageNet weights for
    LPIPS (default: torch's hub cache, else a stand-in that is named). ``budget`` is the time from now on after which
    the call has returned (``90s``, ``10m``): what does not fit is left for the next call, and ``Summary.left`` says so.
    ``pack_results`` is a folder in which the records are packed, in parts of at most ``part``, after every study and at
    the end (see ``tools.collect.pack``). ``executor`` spreads builds over the workers of a Ray cluster (see
    ``tools.distribute``), without a budget and packing. Returns the run's ``Summary``. Raises ``BadInput``.
    """
    from mic2e_bench import paths
    from mic2e_bench.run import runner
    from mic2e_bench.run.scoring import score
    from mic2e_bench.tools.budget import budget as budgets
    from mic2e_bench.tools.budget import durations
    from mic2e_bench.tools.collect import pack
    from mic2e_bench.tools.distribute import hardware, ray

    studies = [one for given in params for one in _studies(given)]
    results = paths.results_of(results)
    limit = budgets.Budget(budgets.parse(budget, "budget")) if isinstance(budget, str) else budget
    _check(rerun, limit, executor, pack_results)
    if executor:
        known = durations.of(results, (study.name for study in studies))
        summary = ray.run(studies, results, executor, rerun=rerun, force=force, durations=known)
        score.studies(studies, results, Path(lpips_weights) if lpips_weights else None, None)
        return summary
    hardware.check(studies)
    if limit:
        limit.force = force
    packing = pack.Packing(Path(pack_results), studies, results, part, limit) if pack_results else None
    with packing or contextlib.nullcontext():
        after = packing.write if packing else lambda: None
        known = limit.durations if limit else durations.of(results, (study.name for study in studies))
        summary = runner.run(studies, results, rerun=rerun, force=force, budget=limit, durations=known, after=after)
        score.studies(studies, results, Path(lpips_weights) if lpips_weights else None, limit)
    if limit:
        summary.left = limit.closing(studies, results)
    return summary


def _check(rerun: Any, limit: Budget | None, executor: Executor | None, pack_results: Any) -> None:
    """Raise ``BadInput`` for arguments of ``run`` that cannot be meant together."""
    if rerun not in (True, False, "disturbed"):
        raise BadInput(f"rerun: {rerun!r} is not true, false or 'disturbed'.")
    if limit and rerun:
        raise BadInput(
            "--rerun measures anew what has a record, so that a run with --budget would never get further: give one."
        )
    if executor and (limit or pack_results):
        raise BadInput("--executor ray: --budget and --pack-results are of runs on this machine: leave them out.")


def _studies(given: Any) -> list[Study]:
    """The studies of one argument of ``run``, with the commit of what comes from the hub."""
    from mic2e_bench.plan import params
    from mic2e_bench.tools import pin

    if isinstance(given, params.Study):
        found = [given]
    else:
        found = [params.resolve_study(given)] if isinstance(given, Mapping) else params.read_all(given)
    return [pin.pinned(study) for study in found]


def load(results: str | Path | None = None, study: str | None = None, mixed: bool = False) -> pandas.DataFrame:
    """Every record under a results folder, a row a trial.

    Damaged files are named on standard error and left out. Raises ``BadInput`` where records of different environments
    would be mixed in one study, unless ``mixed``.
    """
    from mic2e_bench import paths
    from mic2e_bench.report import frame

    table, damaged = frame.load(paths.results_of(results), study, mixed)
    for problem in damaged:
        print(f"left out: {problem}", file=sys.stderr)
    return table


def apply(
    pipe: Any, preset: str | Path | Mapping[str, Any], pipeline: str | None = None, force: bool = False
) -> Applied:
    """Put a preset in force on a live pipeline, with the toggles' own code and receipts (see ``tools.apply.apply``).

    ``preset`` is a name in params/presets.yaml, a mapping of settings, or a YAML file of either. Returns what was
    applied: ``receipts``, ``call`` (arguments for the pipeline's call), ``conflicts``, and ``around()``, which every
    call belongs in. Raises ``BadInput``.
    """
    from mic2e_bench.tools.apply.apply import apply as put_in_force

    return put_in_force(pipe, preset, pipeline, force)
