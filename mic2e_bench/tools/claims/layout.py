"""The guides' tables, each with what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mic2e_bench.plan.settings import show
from mic2e_bench.tools.claims.judge import JudgedClaim
from mic2e_bench.tools.claims.sheet import (
    MEASURED,
    NOTHING,
    PLACE,
    MeasuredCell,
    Sheet,
    judged,
    listing,
    row,
    told_apart,
)
from mic2e_bench.units import digits

Judged = Mapping[tuple[str, str], JudgedClaim]  # by the claim's key and quantity; of several pipelines the first


def sheets(outcomes: Sequence[JudgedClaim]) -> list[Sheet]:
    """Every table, in the order of the guides."""
    found: dict[tuple[str, str], JudgedClaim] = {}
    for outcome in outcomes:
        found.setdefault((outcome.claim.key, outcome.claim.of), outcome)
    comparison, notes, server = "Performance Comparison", "Model Optimization Notes", "Speed Optimizations Guide"
    lists = ("Expected Inference Times (on RTX 3090)", "VRAM Usage, single model loaded")
    lists += ("VRAM Usage, all models loaded", "CPU RAM During Model Loading")
    made = [
        _presets("ObjectClear Pipeline", comparison, OBJECTCLEAR, found),
        _presets("Flux Pipeline", comparison, FLUX, found),
        _sam3(comparison, found),
        *(listing(section, comparison, [o for o in outcomes if o.claim.section == section]) for section in lists),
        _steps(notes, found),
        _gpus(notes, found),
        _server(server, found),
        *(
            listing("Every claim", guide, [o for o in outcomes if o.claim.guide == guide], True)
            for guide in dict.fromkeys(outcome.claim.guide for outcome in outcomes)
        ),
    ]
    return [told_apart(sheet) for sheet in made]


OBJECTCLEAR = {"Current (Balanced)": "objectclear-balanced", "Ultra-Fast": "objectclear-ultra-fast",
               "Low Memory": "objectclear-low-memory"}  # fmt: skip
FLUX = {"Current": "flux-current", "Ultra-Fast": "flux-ultra-fast"}
SETTINGS = {"Inference Steps": "steps", "Resolution": "resolution", "Guidance Scale": "guidance",
            "Precision": "precision"}  # fmt: skip
FIGURES = {"Est. Speed": ("speed", "1.0x"), "Est. VRAM": ("vram", "100%"), "Quality": ("quality", "100%")}


def _presets(title: str, guide: str, columns: Mapping[str, str], found: Judged) -> Sheet:
    """Presets side by side, a measured column beside each."""
    claims = [found[key, "speed"].claim for key in columns.values()]
    header = ["Metric", "Original", *(text for name in columns for text in (name, "measured"))]
    rows: list[list[str | MeasuredCell]] = []
    for name, setting in SETTINGS.items():
        if any(setting in claim.after for claim in claims):
            values = [show(claim.after.get(setting, NOTHING)) for claim in claims]
            original = show(claims[0].before.get(setting, NOTHING))
            rows.append([name, original, *(text for value in values for text in (value, ""))])
    for name, (of, original) in FIGURES.items():
        outcomes = [found[key, of] for key in columns.values()]
        rows.append([name, original, *(part for one in outcomes for part in (one.claim.says, judged(one)))])
    return Sheet(title, guide, header, rows)


def _sam3(guide: str, found: Judged) -> Sheet:
    rows = [
        [what, applied, found[key].claim.says, *row(found[key])]
        for what, applied, key in (
            ("FP16 Precision", "✅ Yes", ("sam3-fp16", "vram")),
            ("Low CPU Memory", "✅ Yes", ("sam3-low-cpu-mem", "load")),
            ("No other changes", "-", ("sam3-fp16", "quality")),
        )
    ]
    return Sheet("SAM3 Models", guide, ["Optimization", "Applied", "Impact", *MEASURED], rows)


def _steps(guide: str, found: Judged) -> Sheet:
    """20, 30 and 50 steps: seconds, and the ratio to the 30 steps that are the default."""
    rows = []
    for steps, quality in ((20, "Good"), (30, "High (default)"), (50, "Best")):
        seconds = found[f"sdxl-steps-{steps}", "seconds"]
        ratios: list[str | MeasuredCell] = ["1× (reference)", "100 % (reference)"]
        if steps != 30:
            ratios = [judged(found[f"sdxl-steps-30-to-{steps}", of]) for of in ("speed", "quality")]
        rows.append([str(steps), quality, seconds.claim.says, judged(seconds), *ratios])
    header = ["Steps", "Quality", "Inference Time (A10G)", "measured", "measured speed", "measured quality"]
    return Sheet("Inference Steps Tuning (SDXL inpainting)", guide, header, rows)


GPUS = (
    ("RTX 3090 / 4090", 24, "✅ Supported (FP16)", "gpu-24gb"),
    ("A10G", 24, "✅ Recommended", "gpu-24gb"),
    ("A100 40/80GB", 40, "✅ Best performance", "gpu-24gb"),
    ("RTX 3080", 10, "⚠️ Tight — enable VAE tiling + attention slicing", "gpu-10gb"),
)


def _gpus(guide: str, found: Judged) -> Sheet:
    """The cards as the guide gives them, and whether the measured peak is below their memory."""
    rows: list[list[str | MeasuredCell]] = []
    for name, memory, status, key in GPUS:
        outcome = found[key, "vram_gb"]
        cell, verdict, place = row(outcome)
        if outcome.value is not None and outcome.records[0].is_full_size and not outcome.is_disturbed:
            free = memory - outcome.value
            verdict = f"fits, {digits(free)} GB left" if free >= 0 else f"does not fit, {digits(-free)} GB too much"
        rows.append([name, f"{memory}GB" if memory != 40 else "40-80GB", status, cell, verdict, place])
    cpu = found["cpu", "seconds"]
    rows.append(["CPU", "-", "⚠️ Supported but ~5 minutes per inference", *row(cpu)])
    header = ["GPU", "VRAM", "Status", "measured peak", "verdict", PLACE]
    return Sheet("Target GPU Requirements (SDXL inpainting)", guide, header, rows)


SERVER = {
    "torch.compile()": "server-compile",
    "Flash Attention 3": "server-flash",
    "CUDA optimizations": "server-cuda",
    "Channels-last format": "server-channels-last",
    "Disable slicing": "server-no-slicing",
    "TF32 enabled": "server-tf32",
    "TOTAL": "server-total",
}


def _server(guide: str, found: Judged) -> Sheet:
    rows = []
    for name, key in SERVER.items():
        speed, memory = found[key, "speed"], found[key, "vram"]
        rows.append([name, speed.claim.says, judged(speed), memory.claim.says, judged(memory)])
    header = ["Optimization", "Speed Improvement", "measured", "Memory Impact", "measured"]
    return Sheet("Performance Comparison (Z-Image)", guide, header, rows)
