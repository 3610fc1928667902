"""Numbers from pairs of pictures. Runs in the scoring child; knows nothing of records' files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from mic2e_bench import interval, registry
from mic2e_bench.metric import Metric
from mic2e_bench.pairs import Pair, Picture, Side


class Failed(RuntimeError):
    """A picture that cannot be compared, and why, in one line."""


def side(metric: Metric, compared: Side, stamp: str) -> dict[str, dict[str, Any]]:
    """Entries of a record's ``quality`` for one metric against one reference.

    Keys: the metric's name (``lpips``), with ``.truth`` against the known answers, and with ``.inside``, ``.outside``
    or ``.ring`` for a region (``psnr.truth.inside``). ``value`` is the mean over inputs and seeds.
    """
    name = f"{metric.name}.truth" if compared.against == "truth" else metric.name
    try:
        rows = [values(metric.name, pair) for pair in compared.pairs]
        if compared.missing:
            raise Failed("; ".join(compared.missing))
    except (Failed, ValueError) as error:
        empty = {"value": None, "ci95": None, "n": 0, "problem": str(error)}
        # what the metric cannot do stays so; a file may come back
        return {name: {**empty, **about(metric, compared), **({} if isinstance(error, Failed) else {"stamp": stamp})}}
    found = {}
    for region in dict.fromkeys(region for row in rows for region in row):
        there = [(row[region], pair.input) for row, pair in zip(rows, compared.pairs, strict=True) if region in row]
        value, ci95 = interval.mean(*zip(*there, strict=True))
        entry = {"value": value, "ci95": ci95, "n": len(there), **about(metric, compared), "stamp": stamp}
        found[".".join(filter(None, (name, region)))] = entry
    return found


def about(metric: Metric, compared: Side) -> dict[str, Any]:
    """What an entry says beside its value."""
    return {
        "unit": metric.unit,
        "better": metric.better,
        "against": compared.against,
        "backbone": metric.backbone() if metric.backbone else None,
    }


@functools.lru_cache(maxsize=4096)
def values(name: str, pair: Pair) -> Mapping[str, float]:
    """One metric on one pair: over the whole picture (``""``) and over each region that there is."""
    metric = registry.metrics()[name]
    reference = _read(pair.reference)
    size = (reference.shape[1], reference.shape[0])
    candidate = _read(pair.candidate, size)
    if metric.of == "masks":
        return {"": metric.compute(candidate[..., 0] >= 128, reference[..., 0] >= 128)}
    one, other = (image.astype(np.float32) / 255 for image in (candidate, reference))
    regions = _regions(pair.masks, size) if pair.masks and metric.within else {}
    return {"": metric.compute(one, other), **(metric.within(one, other, regions) if regions else {})}


@functools.lru_cache(maxsize=64)
def _read(picture: Picture, size: tuple[int, int] | None = None) -> np.ndarray:
    try:
        return picture.read(size)
    except FileNotFoundError:
        raise Failed(f"{picture.path.name} is missing in {picture.path.parent}") from None
    except (OSError, SyntaxError) as error:
        raise Failed(f"{picture.path} is not a readable image ({error})") from None


@functools.lru_cache(maxsize=64)
def _regions(masks: Any, size: tuple[int, int]) -> dict[str, np.ndarray]:
    try:
        return masks.regions(size)
    except OSError as error:
        raise Failed(f"{masks.mask.name} or its shadow is not a readable mask ({error})") from None
