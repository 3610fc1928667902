"""An estimate for people and for programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mic2e_bench.plan.settings import show
from mic2e_bench.report.tabular import columns
from mic2e_bench.tools.fit.accuracy import Compared
from mic2e_bench.tools.fit.cards import workspace
from mic2e_bench.tools.fit.estimate import ASSUMED, Estimate, Fit
from mic2e_bench.units import gib

SHOWN = ("precision", "resolution", "batch", "guidance", "attention", "quantize", "offload", "vae_tiling",
         "prompt_kind")  # fmt: skip


def head(made: Estimate, model: str) -> str:
    """What was estimated, its weights and its stages."""
    said = ", ".join(f"{name} {show(made.settings[name])}" for name in SHOWN if name in made.settings)
    rows = [(name, gib(size)) for name, size in made.weights.items()]
    rows.append(("all", gib(sum(made.weights.values()))))
    stages: dict[str, int] = {}
    for name, size in made.stages:
        stages[name] = max(size, stages.get(name, 0))
    parts = [
        f"{made.pipeline}, {model}: {said}\n"
        "An ESTIMATE from the configuration: nothing was downloaded, nothing measured.",
        columns(rows, ("weights", "GiB")),
        columns([(name, gib(size)) for name, size in stages.items()], ("while this runs", "GiB allocated")),
        columns(
            [
                ("loading", gib(made.loading.allocated), gib(made.loading.reserved)),
                ("a call", gib(made.allocated), gib(made.reserved)),
            ],
            ("peak of", "GiB allocated", "GiB reserved by PyTorch's allocator"),
        ),
        f"It takes {gib(made.on_card)} GiB of the card: the larger one reserved, and the CUDA context.",
    ]
    return "\n\n".join(parts)


def verdict(found: Fit | str) -> str:
    """A verdict in a word or two; a text stays as it is."""
    if isinstance(found, str):
        return found
    said = f"no, {gib(-found.spare)} GiB short" if found.fits == "no" else f"{found.fits}, {gib(found.spare)} GiB left"
    return f"{said} (loading)" if found.decided_by == "loading" else said


def requirements(made: Mapping[str, Estimate | str], cards: Mapping[str, float]) -> str:
    """The GPU-requirements table: a card a row, a setting a column. ``cards`` in bytes; a text is why there is none."""
    rows = []
    for name, of in (
        ("peak of loading", lambda one: one.loading.reserved),
        ("peak of a call", lambda one: one.reserved),
        ("larger + context", lambda one: one.on_card),
    ):
        rows.append([name, "", *(one if isinstance(one, str) else f"{gib(of(one))} GiB" for one in made.values())])
    for card, size in cards.items():
        cells = (verdict(one if isinstance(one, str) else one.on(size, workspace(card))) for one in made.values())
        rows.append([card, f"{gib(size)} GiB", *cells])
    return columns(rows, ("card", "memory", *made))


def assumptions(made: Estimate) -> str:
    lines = ["Assumed:", *(f"  {line}" for line in ASSUMED)]
    if made.not_modelled:
        lines += ["Not modelled:", *(f"  {line}" for line in made.not_modelled)]
    return "\n".join(lines)


def errors(compared: Sequence[Compared], left_out: Sequence[str]) -> str:
    """The estimate beside what was measured, by model and kind of figure."""
    groups: dict[tuple[str, str], list[Compared]] = defaultdict(list)
    for one in compared:
        groups[one.model, one.of].append(one)
    rows = []
    for (model, of), found in groups.items():
        worst = max(found, key=lambda one: abs(one.error))
        middle = sorted(abs(one.error) for one in found)[len(found) // 2]
        rows.append((of, model, len(found), f"{middle:.2%}", f"{worst.error:+.2%}", f"{worst.study} {worst.label}"))
    if not rows:
        return "Error against measured records: there is no record of this pipeline with a measured memory yet."
    text = columns(rows, ("error of", "model", "records", "middle", "worst", "of"))
    if not any(one.of == "reserved" for one in compared):
        text += "\nNo record of a GPU among them: the peaks are not checked against a measured one."
    if left_out:
        text += f"\nNot compared: {len(left_out)}; first: {left_out[0]}"
    return f"Error against measured records\n{text}"


def as_json(made: Estimate, configured: Estimate | None, columns: Mapping[str, Estimate | str],
            cards: Mapping[str, float], compared: Sequence[Compared], model: str) -> dict[str, Any]:  # fmt: skip
    """The same for programs, in bytes."""

    def one(given: Estimate | str) -> dict[str, Any]:
        if isinstance(given, str):
            return {"refused": given}
        verdicts = {card: given.on(size, workspace(card)) for card, size in cards.items()}
        return {
            "allocated_bytes": given.allocated,
            "reserved_bytes": given.reserved,
            "loading_bytes": given.loading._asdict(),
            "on_card_bytes": given.on_card,
            "cards": {
                card: {"fits": v.fits, "spare_bytes": round(v.spare), "decided_by": v.decided_by}
                for card, v in verdicts.items()
            },
        }

    return {
        "estimate": True,
        "pipeline": made.pipeline,
        "model": model,
        "settings": dict(made.settings),
        "image": list(made.size),
        "weights_bytes": dict(made.weights),
        "stages_bytes": [list(stage) for stage in made.stages],
        **one(made),
        "configured": one(configured) if configured else None,
        "presets": {name: one(given) for name, given in columns.items()},
        "assumed": list(ASSUMED),
        "not_modelled": list(made.not_modelled),
        "records": [{**vars(c), "error": c.error} for c in compared],
    }
