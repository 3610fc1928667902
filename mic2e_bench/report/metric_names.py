"""The names of metrics as people read them, with their units and directions."""

from __future__ import annotations

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metrics.similarity import MOST_DB
from mic2e_bench.units import digits, missing

IDENTICAL = "identical"
ROUNDING = 1e-9  # below it a distance is what floats leave of none
NAMES = {"lpips": "LPIPS", "flip": "FLIP", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "psnr": "PSNR", "iou": "IoU"}


def _about(name: str) -> tuple[str, str]:
    """A metric's unit and the direction that is better; both empty for one that is not known."""
    family = name.partition(".")[0]
    known = registry.metrics()
    return (known[family].unit, known[family].better) if family in known else ("", "")


def unit(name: str) -> str:
    """The unit of a metric; empty where it has none."""
    found = _about(name)[0]
    return "" if found == "1" else found


def is_lower_better(name: str) -> bool:
    """Whether less is better: of times, sizes and distances."""
    return _about(name)[1] == "lower"


def title(name: str) -> str:
    """A metric as headers name it, with its unit and the direction that is better: ``PSNR (dB) ↑``."""
    family, _, rest = name.partition(".")
    direction = {"lower": "↓", "higher": "↑"}.get(_about(name)[1], "")
    parts = (NAMES.get(family, family), rest.replace(".", " "), f"({unit(name)})" if unit(name) else "", direction)
    return " ".join(part for part in parts if part)


def is_identical(name: str, value: float) -> bool:
    """Whether a metric's value is what equal images get: nothing is then to be read from its digits.

    PSNR is stored as 100 dB where it has no end, the others may miss their best value by what floats round.
    """
    family = name.partition(".")[0]
    if missing(value):
        return False
    if family == "psnr":
        return value >= MOST_DB
    if family in ("lpips", "flip"):
        return value < ROUNDING
    return family in ("ssim", "ms_ssim", "iou") and value > 1 - ROUNDING


def shown(name: str, value: float | None) -> str:
    """A metric's value for tables and captions, without its unit: ``34.5``, ``identical``, or a dash for none."""
    return IDENTICAL if is_identical(name, value) else digits(value)


def worded(name: str, value: float) -> str:
    """A metric with its value, for captions: ``PSNR 34.5 dB``, ``PSNR: identical``."""
    if is_identical(name, value):
        return f"{NAMES.get(name, name)}: {IDENTICAL}"
    return " ".join(part for part in (NAMES.get(name, name), digits(value), unit(name)) if part)
