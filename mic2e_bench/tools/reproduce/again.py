"""A study of one stored trial, and of its baseline where that is needed, that is measured here as it was there.

What a record says is data. Its inputs are read as pictures, and only where each has the digest that the record has.
A model's folder is loaded only where all its files together have the fingerprint that the record has; weights from
the hub only where that commit lies on this machine: nothing is downloaded because a record names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import hub, sources
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.plan import conflicts, inputs, protocol, settings
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record
from mic2e_bench.run.scoring import score
from mic2e_bench.tools.reproduce.original import Measurement

MACHINE = ("host", "device", "driver", "usable_cores")  # another of one of these, and times are not compared
NOT_RUN = {"skipped": "it was skipped because a smaller one ran out of memory: reproduce that one"}


def study(original: Measurement) -> Study:
    """The study to measure. Raises ``BadInput`` where this machine cannot measure it as it was measured."""
    one = original.record
    if one.status in NOT_RUN:
        raise BadInput(f"reproduce: {one.study}/{one.id}: {NOT_RUN[one.status]}.")
    trial, pipeline = _trial(one), registry.pipeline(one.pipeline)
    if not original.baseline:
        trial = replace(trial, is_baseline=True)  # of a study of its own
    baseline = replace(_trial(original.baseline), is_baseline=True) if original.baseline else trial
    every = {each.id: each for each in (baseline, trial)}  # the trial is the last
    refused = {id: why for id, trial in every.items() if (why := conflicts.find(trial.settings, pipeline))}
    return Study(one.study, pipeline, baseline, tuple(every.values()), _metrics(one, pipeline), (), refused, {})


def _trial(one: Record) -> Trial:
    """The trial of a record as it is planned here today."""
    where = f"reproduce: {one.study}/{one.id}"
    pipeline = registry.pipeline(one.pipeline, where)
    if strange := sorted(set(one.settings) - {*registry.toggles_of(pipeline), *protocol.VARIED}):
        raise BadInput(f"{where}: this version has no setting {', '.join(strange)}.{_version(one)}")
    planned = settings.resolve(one.settings, pipeline, where)
    toggles = {name: value for name, value in planned.items() if name not in protocol.VARIED}
    if lacking := settings.missing(toggles):
        raise BadInput(f"{where} cannot be measured here: {lacking}.")
    content = {
        "pipeline": one.pipeline,
        "model": _model(one, pipeline, where),
        "settings": planned,
        "inputs": _inputs(one, where),
        "protocol": protocol.resolve(dict(one.protocol), where),
    }
    return Trial.of(one.study, one.label, content)


def _model(one: Record, pipeline: Pipeline, where: str) -> Mapping[str, Any]:
    """The same weights on this machine. Raises ``BadInput`` where they are not here, or are others now."""
    then, source = one.model, one.model["source"]
    if source != "random":
        sources.location(then, pipeline)  # raises for a record that does not say where they lie
    if source == "hub" and not hub.snapshot(then["id"], then["revision"]):
        what = f"{then['id']} at {then['revision']}"
        raise BadInput(
            f"{where} needs the published weights {what}, which are not on this machine, and no record has them "
            f"downloaded. If you want them: hf download {then['id']} --revision {then['revision']}"
        )
    asked = {"folder": then.get("path"), "hub": then.get("id")}.get(source, source)
    given = {"source": asked, **{key: then[key] for key in ("variant", "revision") if key in then}}
    if source != "hub":
        given.pop("revision", None)
    now = sources.resolve(given, pipeline, where)
    key = "revision" if source == "hub" else "fingerprint"
    if now["source"] != source or (now.get(key) != then.get(key) and not (source == "hub" and _is_name(then))):
        raise BadInput(
            f"{where}: its weights are not here any more: {sources.label(then)} has {key} {now.get(key)} now, and the "
            f"record's is {then.get(key)}. They are not loaded.{_version(one) if source == 'bundled' else ''}"
        )
    return now


def _is_name(model: Mapping[str, Any]) -> bool:
    """Whether a record of weights from the hub says a branch or tag alone."""
    return not hub.is_commit(model["revision"])


def _inputs(one: Record, where: str) -> Mapping[str, Any]:
    """The same inputs. Raises ``BadInput`` where a picture is not here any more, or is another one now."""
    try:
        inputs.read(one.inputs)
    except (BadInput, OSError, KeyError) as error:
        said = str(error).removesuffix(": run it again.").replace("when the study was planned", "when it was measured")
        raise BadInput(f"{where}: its inputs are not here any more: {said.rstrip('.')}.{_version(one)}") from None
    return one.inputs if one.raw["trial"]["inputs"] else {}


def _version(one: Record) -> str:
    commit = one.environment.get("git")
    return f" It was measured with version {commit}." if commit else ""


def _metrics(one: Record, pipeline: Pipeline) -> tuple[str, ...]:
    """What its pictures were scored by, as far as this version has it."""
    made = "masks" if pipeline.task == "segmentation" else "images"
    names = dict.fromkeys(score.root(key) for key in one.quality)
    return tuple(name for name in names if name in registry.metrics() and registry.metrics()[name].of == made)


def not_same(original: Measurement, planned: Study) -> list[str]:
    """What is not as it was when the record was measured, a line each."""
    one = original.record
    lines = [*_environment(one), *_identity(one, planned.trials[-1])]
    if comparable.disturbed(one):
        lines.append(f"other work disturbed the record: {'; '.join(comparable.disturbed(one))}")
    if not original.baseline and not comparable.is_baseline(one) and comparable.is_measured(one):
        lines.append("its study's baseline has no record: neither ratios nor scores are compared")
    return lines


def is_other_machine(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether times and memory of two environments say nothing of each other; a container has a new host's name."""
    is_same_boot = then.get("boot") and then.get("boot") == now.get("boot")
    names = [name for name in MACHINE if name in then and not (name == "host" and is_same_boot)]
    return any(then[name] != now.get(name) for name in names)


def _environment(one: Record) -> Iterator[str]:
    then, now = one.environment, environment.here(one.settings.get("device", "cpu"))
    if is_other_machine(then, now):
        names = [name for name in MACHINE if name in then and then[name] != now.get(name)]
        said = ", ".join(f"{name} {then[name]} then, {now.get(name)} here" for name in names)
        yield f"this machine is another ({said}): times and memory are not compared"
    for name in ("python", "git"):
        if then.get(name) != now.get(name):
            yield f"{name}: {then.get(name)} then, {now.get(name)} here"
    mine, theirs = now["packages"], then.get("packages") or {}
    if moved := [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]:
        yield f"versions: {', '.join(f'{name} {theirs.get(name)} then, {mine.get(name)} here' for name in moved)}"


def _identity(one: Record, trial: Trial) -> Iterator[str]:
    """Why the trial has another identity here, where it has; what was measured is in the record all the same."""
    if trial.id == one.id:
        return
    then, now = one.raw["trial"], trial.content
    parts = [name for name in now if name != "settings" and then[name] != now[name]]
    came = [f"{name} {settings.show(value)}" for name, value in now["settings"].items() if name not in then["settings"]]
    what = [f"{name} ({_differing(then[name], now[name])})" for name in parts]
    what += [f"settings that came since, at their defaults ({', '.join(came)})"] if came else []
    why = "; ".join(what) or "it is one of before, which covered less of the same trial"
    yield f"its identity is {trial.id} here, not {one.id}: {why}"


def _differing(then: Any, now: Any) -> str:
    if not (isinstance(then, Mapping) and isinstance(now, Mapping)):
        return f"{then} then, {now} here"
    names = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    return ", ".join(f"{name} {then.get(name)} then, {now.get(name)} here"[:200] for name in names)
