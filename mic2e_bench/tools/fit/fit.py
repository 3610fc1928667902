"""``fit`` as it is asked: a pipeline, settings, a card. Checks what was asked, and gathers the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench import units
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import fork_safety
from mic2e_bench.plan import presets
from mic2e_bench.plan.settings import resolve
from mic2e_bench.tools.fit import cards as card_table

if TYPE_CHECKING:
    from mic2e_bench.tools.fit.accuracy import Compared
    from mic2e_bench.tools.fit.estimate import Estimate

# what is tried, in this order, where the asked setting does not fit: the cheapest in time first
RELIEF: tuple[dict[str, Any], ...] = (
    {"vae_tiling": 512},
    {"offload": "model"},
    {"offload": "model", "vae_tiling": 512},
    {"offload": "group", "vae_tiling": 512},
    {"offload": "sequential", "vae_tiling": 256},
)


@dataclass(frozen=True)
class FitReport:
    """An estimate, the same for the presets, the cards, what would help, and the error against records.

    ``configured``: the same settings where the libraries' own configuration quantises, for bitsandbytes.
    """

    made: Estimate
    configured: Estimate | None
    columns: Mapping[str, Estimate | str]
    cards: Mapping[str, float]
    model: str
    compared: Sequence[Compared]
    left_out: Sequence[str]
    relief: str

    @property
    def fits_somewhere(self) -> bool:
        return any(self.made.on(size).fits != "no" for size in self.cards.values())

    def text(self) -> str:
        from mic2e_bench.tools.fit import text as fit_text

        own = {"asked, by PipelineQuantizationConfig": self.configured} if self.configured else {}
        table = fit_text.requirements({"asked": self.made, **own, **self.columns}, self.cards)
        parts = [fit_text.head(self.made, self.model), f"GPU requirements (estimated)\n{table}", self.relief]
        parts += [fit_text.assumptions(self.made), fit_text.errors(self.compared, self.left_out)]
        return "\n\n".join(part for part in parts if part)

    def json(self) -> dict[str, Any]:
        from mic2e_bench.tools.fit import text as fit_text

        return fit_text.as_json(self.made, self.configured, self.columns, self.cards, self.compared, self.model)


def answer(
    name: str,
    changes: Sequence[str],
    preset: str | None,
    model: str,
    image: str | None,
    cards: Mapping[str, float],
    results: Path,
) -> FitReport:
    """Everything that ``fit`` tells. Raises ``BadInput``."""
    pipeline = registry.pipeline(name)
    given = presets.settings_of(preset, pipeline, "--preset") if preset is not None else {}
    given |= dict(units.assignment(change, "--settings", "precision=bf16") for change in changes)
    settings, size = _on_gpu(given, pipeline, "--settings"), image_size(image)
    source, label = {"source": "hub", "id": pipeline.hub, "revision": "main"}, "published architecture"
    if model != "published":
        source = sources.resolve(model, pipeline, "--model")
        label = sources.label(source)
    with fork_safety.without_device():  # an estimate takes no memory of the card
        from mic2e_bench.tools.fit import accuracy
        from mic2e_bench.tools.fit.elsewhere import CONFIGURED
        from mic2e_bench.tools.fit.estimate import estimate

        made, configured = estimate(pipeline, source, settings, size), None
        if settings.get("quantize", "none").startswith("bnb"):
            configured = estimate(pipeline, source, settings, size, CONFIGURED)
        columns: dict[str, Estimate | str] = {}
        for other in presets.load():
            if other != preset and presets.covers(other, pipeline):
                theirs = _on_gpu(presets.settings_of(other, pipeline, other), pipeline, other)
                try:
                    columns[other] = estimate(pipeline, source, theirs, size)
                except BadInput:
                    columns[other] = "conflict"
        relief = _relief(pipeline, source, settings, size, made, cards) if len(cards) == 1 else ""
        return FitReport(made, configured, columns, cards, label, *accuracy.records(pipeline, results), relief)


def _on_gpu(given: Mapping[str, Any], pipeline: Pipeline, where: str) -> dict[str, Any]:
    return resolve({**given, "device": "cuda"}, pipeline, where)


def _relief(
    pipeline: Pipeline, source: Any, settings: Any, size: Any, made: Estimate, cards: Mapping[str, float]
) -> str:
    """The first change that makes it fit the one card, where it does not."""
    from mic2e_bench.tools.fit import text as fit_text
    from mic2e_bench.tools.fit.estimate import estimate

    ((card, memory),) = cards.items()
    workspace = card_table.workspace(card)
    if made.on(memory, workspace).fits != "no":
        return ""
    for change in RELIEF:
        if registry.toggles_of(pipeline).keys() >= change.keys():
            try:
                found = estimate(pipeline, source, {**settings, **change}, size).on(memory, workspace)
            except BadInput:
                continue
            if found.fits != "no":
                said = " and ".join(f"{name} {value}" for name, value in change.items())
                return f"It does not fit {card}. With {said} it would: {fit_text.verdict(found)} (estimated)."
    advice = "try a lower precision or quantize"
    return f"It does not fit {card}, and none of the usual savings would make it fit; {advice}."


def image_size(text: str | None) -> tuple[int, int] | None:
    """(width, height) in pixels from ``1024x768``. Raises ``BadInput``."""
    if text is None:
        return None
    found = re.fullmatch("([0-9]{1,5})x([0-9]{1,5})", text)
    if not found or not all(64 <= int(side) <= 16384 for side in found.groups()):
        raise BadInput(f"--image: '{text}' is not a size such as 1024x768, sides from 64 to 16384 pixels.")
    return int(found[1]), int(found[2])


def cards_of(gpu: str | None, vram: str | None) -> dict[str, float]:
    """The cards to answer for, in bytes: the named one, one of that memory, or all that are known."""
    if gpu is not None:
        name, size = card_table.memory(gpu)
        return {name: size}
    if vram is not None:
        return {f"a card with {vram}": units.size(vram, "--vram")}
    return {name: size * units.GIB for name, size in card_table.CARDS.items()}
