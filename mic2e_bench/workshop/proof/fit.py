"""Is what `fit` says what others measured? ``python -m mic2e_bench.workshop.proof.fit``

Every figure of ``params/figures.yaml``, published by others or measured by us, beside its estimate; then the estimate
beside every measured record under ``results/``, as ``fit`` prints it. Nothing is timed. Exits with 1 where an estimate
is more than 15 % off a figure that is not marked as unexplained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mic2e_bench import documents, paths
from mic2e_bench.catalog import registry
from mic2e_bench.plan.settings import resolve
from mic2e_bench.tools.fit import accuracy, cards, text
from mic2e_bench.tools.fit.elsewhere import Elsewhere
from mic2e_bench.tools.fit.estimate import Peak, estimate
from mic2e_bench.units import GIB
from mic2e_bench.workshop import proof

FIGURES = paths.root() / "params" / "figures.yaml"
LIMIT = 0.15


@dataclass(frozen=True)
class Figure:
    """One figure: GiB that ``counts`` allocated or reserved at the peak ``of`` loading, a call or the whole process."""

    source: str
    card: str
    what: str
    pipeline: str
    gib: float
    counts: str
    of: str
    settings: Mapping[str, Any]
    elsewhere: Mapping[str, Any] = field(default_factory=dict)
    unexplained: str = ""

    def estimated(self) -> float:
        """GiB by `fit`, for the published architecture."""
        pipeline = registry.pipeline(self.pipeline)
        settings = resolve({**self.settings, "device": "cuda"}, pipeline, str(FIGURES))
        otherwise = Elsewhere(**{**self.elsewhere, "held": tuple(self.elsewhere.get("held", ()))})
        model = {"source": "hub", "id": pipeline.hub, "revision": "main"}
        made = estimate(pipeline, model, settings, elsewhere=otherwise)
        call = made.peaks(cards.workspace(self.card))
        process = Peak(*map(max, zip(call, made.loading, strict=True)))
        peak = {"call": call, "loading": made.loading, "process": process}[self.of]
        return getattr(peak, self.counts) / GIB


def figures() -> list[Figure]:
    """All figures of the file."""
    read = documents.yaml_value(FIGURES.read_text(encoding="utf-8"))
    return [Figure(card=read["sources"][one["source"]]["card"], **one) for one in read["figures"]]


def main() -> int:
    """Print a row for each figure, and the errors against records for each pipeline."""
    rows, missed = [], 0
    for one in figures():
        estimated = one.estimated()
        error = estimated / one.gib - 1
        missed += abs(error) > LIMIT and not one.unexplained
        note = f"unexplained: {one.unexplained}" if one.unexplained else ""
        about = f"{one.pipeline}, {one.what}"
        rows.append(
            (one.source, about, f"{one.of}, {one.counts}", f"{one.gib:.2f}", f"{estimated:.2f}", f"{error:+.1%}", note)
        )
    said = (
        "Every figure of `params/figures.yaml`, which has the sources, beside the estimate of `fit`, in GiB. "
        f"Limit: {LIMIT:.0%}. How convolutions copied under cuDNN 8, and that a compiled UNet was still held, is "
        "inferred from the figures of 2023 themselves; all else is what the sources say."
    )
    header = ("source", "what", "peak of", "measured", "estimated", "error", "")
    print(proof.section("Fit", said, header, rows))
    print("\nThe estimate beside every record with a measured memory under `results/`:\n")
    for name, pipeline in registry.pipelines().items():
        print(f"```\n{name}\n{text.errors(*accuracy.records(pipeline, paths.root() / 'results'))}\n```")
    return int(missed > 0)


if __name__ == "__main__":
    proof.start(main, __doc__)
