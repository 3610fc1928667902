"""The smallest card that a trial runs on: PyTorch is given ever less of this card's memory, by bisection."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.machine import environment
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.protocol import DEFAULTS
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import record
from mic2e_bench.records.comparable import is_measured
from mic2e_bench.run import runner

STEPS = 100  # a card is divided into so many parts,
FINER = 10  # and each of these into so many where fewer than a tenth of them are needed: 1 % of a card is much there

Probe = Callable[[float], bool]


@dataclasses.dataclass(frozen=True)
class MinimumCard:
    """The answer for one trial: ``fraction`` of a card of ``card_bytes``; ``None`` and a ``reason`` where it fails.

    ``card_bytes`` are those that CUDA counts, of which PyTorch takes its share; the driver's total is a little more.
    ``beside_bytes`` is what the process takes of the card beside PyTorch's share (the CUDA context), by the driver.
    """

    trial: Trial
    card_bytes: int
    fraction: float | None = None
    beside_bytes: int | None = None
    reason: str = ""

    @property
    def text(self) -> str:
        """In one line."""
        name = f"{self.trial.study} {self.trial.label}"
        if self.fraction is None:
            return f"{name}: {self.reason}"
        share = self.fraction * self.card_bytes
        beside = "what the CUDA context takes, which the driver does not say"
        if self.beside_bytes is not None:
            beside = f"{self.beside_bytes / 2**30:.1f} GiB beside it: {(share + self.beside_bytes) / 2**30:.1f} GiB"
        return f"{name}: {share / 2**30:.1f} GiB for PyTorch ({self.fraction * 100:g} % of this card), and {beside}"


def smallest(passes: Probe) -> float | None:
    """The least share of the card with which a trial passes; ``None`` where it does not with all of it.

    In hundredths, and below a tenth in thousandths. What passes with some memory is taken to pass with more.
    """
    if not passes(1.0):
        return None
    hundredths = _least(1, STEPS, lambda share: passes(share / STEPS))
    if hundredths > STEPS // 10:
        return hundredths / STEPS
    parts = STEPS * FINER
    return _least((hundredths - 1) * FINER + 1, hundredths * FINER, lambda share: passes(share / parts)) / parts


def _least(least: int, most: int, passes: Callable[[int], bool]) -> int:
    """The least whole number from ``least`` to ``most`` that passes, where ``most`` does."""
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if passes(middle) else (middle + 1, most)
    return most


def of_study(study: Study, results: Path, labels: tuple[str, ...] = ()) -> list[MinimumCard]:
    """The smallest card for each trial, or for those with these labels; every probe is a record of ``<study>-mincard``.

    Raises ``BadInput`` where there is no CUDA device, or a trial does not use it, or a label is unknown.
    """
    card = environment.gpu()
    if card is None:
        raise BadInput(
            "mincard: no CUDA device here. It gives PyTorch less and less of a card's memory until a trial fails; main "
            "memory has no such cap. Records hold what a trial took of it (peak_rss_bytes)."
        )
    known = {trial.label: trial for trial in study.trials}
    for label in labels:
        if label not in known:
            raise unknown("trial", label, known, study.name)
    chosen = [known[label] for label in labels] or list(study.trials)
    for trial in chosen:
        if trial.settings["device"] != "cuda":
            device = trial.settings["device"]
            raise BadInput(f"mincard: {study.name}, {trial.label}: device is {device}; set it to cuda.")
    return [_of_trial(study, trial, results, card["memory_bytes"]) for trial in chosen if trial.id not in study.refused]


def _of_trial(study: Study, trial: Trial, results: Path, card_bytes: int) -> MinimumCard:
    records: dict[float, record.Record] = {}

    def passes(fraction: float) -> bool:
        one = probe_of(study, trial, fraction)
        (records[fraction],) = runner.run([one], results).records.values()
        return is_measured(records[fraction])

    fraction = smallest(passes)
    if fraction is None:
        whole = records[1.0]
        return MinimumCard(trial, card_bytes, reason=f"{whole.status} with the whole card: {whole.reason}")
    memory = records[fraction].memory
    beside = memory.get("peak_beside_allocator_bytes")
    return MinimumCard(trial, memory.get("device_total_bytes") or card_bytes, fraction, beside)


def probe_of(study: Study, trial: Trial, fraction: float) -> Study:
    """A study of this trial alone with a share of the card, on all its inputs, with as few calls as will do."""
    name = f"{study.name}-mincard"
    kept = {"seeds": trial.protocol["seeds"][:1], **{n: trial.protocol[n] for n in ("timeout_s", "process")}}
    one = dataclasses.replace(
        trial,
        study=name,
        label=f"{trial.label} in {fraction * 100:g} %",
        settings={**trial.settings, "memory_fraction": fraction},
        protocol={**DEFAULTS, "repeats": 1, **kept},
        is_baseline=False,  # nothing is compared with it
    )
    return dataclasses.replace(study, name=name, baseline=one, trials=(one,), refused={})
