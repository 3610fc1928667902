"""A stored record is measured once more, in a results folder of its own, and what both say is put side by side."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.plan.params import Study
from mic2e_bench.records import comparable, record
from mic2e_bench.run import runner
from mic2e_bench.run.scoring import score
from mic2e_bench.tools.reproduce import again, agree, original
from mic2e_bench.tools.reproduce.agree import Finding
from mic2e_bench.tools.reproduce.original import Measurement

FOLDER = "reproduced"  # under the results folder


@dataclass(frozen=True)
class Reproduction:
    """What is to be measured again, where it goes, and what is not the same here, a line each."""

    original: Measurement
    study: Study
    into: Path
    not_same: list[str]


@dataclass(frozen=True)
class Answer:
    """What came of it: the file of the new record, and whether it agrees, part by part."""

    reproduction: Reproduction
    path: Path
    findings: list[Finding]

    @property
    def word(self) -> str:
        return agree.word(self.findings)


def prepare(wanted: str, results: Path, into: Path | None = None) -> Reproduction:
    """Find the record and plan it; measures nothing. ``into`` is the new record's results folder.

    Raises ``BadInput`` where there is no such record, this machine cannot measure it, or records lie there already.
    """
    found = original.find(wanted, results)
    study = again.study(found)
    into = into or _free(results / FOLDER / f"{study.name}-{found.record.id[:8]}", study)
    if _path(into, study).exists():
        raise BadInput(f"reproduce: {_path(into, study)} is there already: give a folder of its own, --into DIR.")
    return Reproduction(found, study, into, again.not_same(found, study))


def _path(into: Path, study: Study) -> Path:
    return record.path_of(into, study.name, study.trials[-1].id)


def _free(folder: Path, study: Study) -> Path:
    """The next number without the record: what was interrupted goes on. ``compare`` reads ``folder`` as rounds."""
    number = 1
    while _path(folder / str(number), study).exists():
        number += 1
    return folder / str(number)


def measure(asked: Reproduction, lpips_weights: Path | None = None) -> Answer:
    """Measure and score it, and compare. Raises ``BadInput`` where the folder cannot be written."""
    old, study = asked.original, asked.study
    force = comparable.is_measured(old.record)  # what was forced then is forced now
    runner.run([study], asked.into, force=force)
    score.studies([study], asked.into, lpips_weights)
    path = _path(asked.into, study)
    new = record.read(path)
    base = record.read_if_there(record.path_of(asked.into, study.name, study.baseline.id)) if old.baseline else None
    now = Measurement(new, base, path.parent)
    here = environment.here(new.settings.get("device", "cpu"))
    other_machine = again.is_other_machine(old.record.environment, here)
    return Answer(asked, path, list(agree.findings(old, now, other_machine)))


def before(asked: Reproduction) -> str:
    """What is measured, where it goes, and what is not the same here."""
    one = asked.original.record
    lines = [f"{one.study} {one.label} ({one.id}), measured {one.environment.get('started', 'at an unknown time')}"]
    lines.append(f"is measured again into {asked.into}")
    return "\n".join([*lines, *(f"not the same here: {line}" for line in asked.not_same)])


def text(made: Answer) -> str:
    """A line a part, and the answer."""
    width = max(len(finding.what) for finding in made.findings)
    lines = [f"{one.what:<{width}}  {one.word}: {one.why}" for one in made.findings]
    return "\n".join([*lines, f"{made.word}; the new record: {made.path}"])


def as_json(made: Answer) -> dict[str, Any]:
    """The same for programs."""
    asked = made.reproduction
    one = asked.original.record
    return {
        "record": {"study": one.study, "id": one.id, "label": one.label},
        "reproduced": {"id": made.path.stem, "path": str(made.path)},
        "not_same": asked.not_same,
        "findings": [dataclasses.asdict(finding) for finding in made.findings],
        "answer": made.word,
    }


def written(made: Answer) -> str:
    return files.as_json(as_json(made)).decode().rstrip("\n")
