"""Numbers for people: three significant digits, a unit for a whole column, and the names of metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mic2e_bench import registry

NONE = "–"


def digits(value: Any, count: int = 3) -> str:
    """A number with ``count`` significant digits and no exponent where it fits; a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.{count - 1}e}"
    decimals = count - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, decimals)}f}"


def missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def scale(name: str, values: Iterable[Any]) -> tuple[float, str]:
    """What to multiply a column by, and its unit: seconds or milliseconds, MiB or GiB."""
    top = max((abs(value) for value in values if not missing(value)), default=0)
    if name.endswith("_bytes"):
        return (1 / 2**30, "GiB") if top >= 2**30 else (1 / 2**20, "MiB")
    return (1e3, "ms") if 0 < top < 0.1 else (1.0, "s")


NAMES = {"lpips": "LPIPS", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "psnr": "PSNR", "iou": "IoU"}


def _about(name: str) -> tuple[str, str]:
    """A metric's unit and the direction that is better; both empty for one that is not known."""
    family = name.partition(".")[0]
    if family == "quality":  # made of LPIPS, so no metric of its own
        return "%", "higher"
    known = registry.metrics()
    return (known[family].unit, known[family].better) if family in known else ("", "")


def unit(name: str) -> str:
    """The unit of a metric; empty where it has none."""
    found = _about(name)[0]
    return "" if found == "1" else found


def title(name: str) -> str:
    """A metric as headers name it, with its unit and the direction that is better: ``PSNR (dB) ↑``."""
    family, _, rest = name.partition(".")
    direction = {"lower": "↓", "higher": "↑"}.get(_about(name)[1], "")
    parts = (NAMES.get(family, family), rest.replace(".", " "), f"({unit(name)})" if unit(name) else "", direction)
    return " ".join(part for part in parts if part)


def worded(name: str, value: float) -> str:
    """A metric with its value, for captions: ``PSNR 34.5 dB``."""
    return " ".join(part for part in (NAMES.get(name, name), digits(value), unit(name)) if part)
