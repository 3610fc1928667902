"""The names of metrics as people read them, with their units and directions."""

from __future__ import annotations

from mic2e_bench.catalog import registry
from mic2e_bench.units import digits

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


def title(name: str) -> str:
    """A metric as headers name it, with its unit and the direction that is better: ``PSNR (dB) ↑``."""
    family, _, rest = name.partition(".")
    direction = {"lower": "↓", "higher": "↑"}.get(_about(name)[1], "")
    parts = (NAMES.get(family, family), rest.replace(".", " "), f"({unit(name)})" if unit(name) else "", direction)
    return " ".join(part for part in parts if part)


def worded(name: str, value: float) -> str:
    """A metric with its value, for captions: ``PSNR 34.5 dB``."""
    return " ".join(part for part in (NAMES.get(name, name), digits(value), unit(name)) if part)
