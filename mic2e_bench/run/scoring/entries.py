"""From pairs of pictures to the entries of a record's ``quality``. Runs in the scoring child.

An entry's key is the metric's name (``lpips``: against the baseline on the same input and seed), with ``.truth``
against the known answers, and with ``.inside``, ``.outside`` or ``.ring`` for a region (``psnr.truth.inside``). It has

``value``     mean over inputs and seeds, in ``unit``; ``None`` where it could not be had: ``problem`` says why
``ci95``      ``[low, high]``, over inputs; ``None`` below 100 of them; ``n`` is the number of images
``better``    ``lower`` or ``higher``
``against``   the baseline's id, or ``truth``
``backbone``  what a learned metric measured with
``floor``     the noise: against the baseline, the value that its own images get for a change that nobody made; against
              the truth, by how much their value then differs. The largest of a change by one grey level, of a repeat
              and of another seed (``floor_of`` says which); ``None`` where there is none to go by
``visible``   whether the value is beyond the floor; against the truth, whether its difference to the baseline's is
``resized``   sizes, where a candidate was resized to the reference's size
``stamp``     fingerprint of all that the entry was made of

``quality`` and ``quality.truth`` are LPIPS on a scale for people: 100 % = the reference, 0 % = its ``anchor``, a
picture without information: 100 (1 - LPIPS(candidate, reference) / LPIPS(anchor, reference)), of means over all images.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mic2e_bench import statistics
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.regions import Masks, Picture
from mic2e_bench.errors import BadInput
from mic2e_bench.run.scoring.pairs import PicturePair, PicturePairs

Entries = dict[str, dict[str, Any]]


class Failed(RuntimeError):
    """A picture that cannot be compared, and why, in one line."""


def score(metric: Metric, side: PicturePairs, stamp: str) -> Entries:
    """Entries of one metric against one reference; of LPIPS ``quality`` as well."""
    suffix = ".truth" if side.against == "truth" else ""
    about = {
        "unit": metric.unit,
        "better": metric.better,
        "against": side.against,
        "backbone": metric.backbone() if metric.backbone else None,
        "stamp": stamp,
    }
    try:
        if side.missing:
            raise Failed("; ".join(side.missing))
        made = {f"{metric.name}{suffix}{region}": entry for region, entry in _regions(metric, side).items()}
        if metric.name == "lpips" and side.anchor:
            made[f"quality{suffix}"] = _percent(side, made[f"lpips{suffix}"])
    except (Failed, ValueError) as error:
        if isinstance(error, Failed):  # a file may come back; what the metric cannot do stays so
            del about["stamp"]
        made = {f"{metric.name}{suffix}": {"value": None, "ci95": None, "n": 0, "problem": str(error)}}
    return {key: {**about, **entry} for key, entry in made.items()}


def _regions(metric: Metric, side: PicturePairs) -> Entries:
    """Entries over the whole picture (``""``) and each region (``".inside"``)."""
    rows = [values(metric.name, pair) for pair in side.pairs]
    floors = _floors(metric, side)
    own = _means(values(metric.name, pair) for pair in side.baseline)
    resized = ", ".join(dict.fromkeys(filter(None, map(_resized, side.pairs))))
    found = {}
    for region in dict.fromkeys(region for row in rows for region in row):
        there = [(row[region], pair.input) for row, pair in zip(rows, side.pairs, strict=True) if region in row]
        value, ci95 = statistics.mean(*zip(*there, strict=True))
        floor, floor_of = floors.get(region, (None, None))
        entry = {"value": value, "ci95": ci95, "n": len(there), "floor": floor, "floor_of": floor_of}
        entry["visible"] = _visible(metric, value, floor, own.get(region) if side.against == "truth" else None)
        found[f".{region}" if region else ""] = {**entry, "resized": resized} if resized else entry
    return found


def _visible(metric: Metric, value: float, floor: float | None, own: float | None) -> bool | None:
    """Whether a value is beyond the noise; against the truth its difference to the baseline's value ``own``."""
    if floor is None:
        return None
    if own is not None:
        return abs(value - own) > floor
    return value > floor if metric.better == "lower" else value < floor


def _floors(metric: Metric, side: PicturePairs) -> Mapping[str, tuple[float, str]]:
    """The largest noise in each region, and its source."""
    # against the baseline a *worse* value is the larger noise
    larger = min if metric.better == "higher" and side.against != "truth" else max
    found: dict[str, tuple[float, str]] = {}
    for source, twins in side.noise:
        for region, value in _means(_noise(metric, pairs) for pairs in twins).items():
            found[region] = larger(found.get(region, (value, source)), (value, source), key=lambda pair: pair[0])
    return found


def _noise(metric: Metric, pairs: tuple[PicturePair, ...]) -> Mapping[str, float]:
    first, *second = [values(metric.name, pair) for pair in pairs]
    return {region: abs(first[region] - second[0][region]) for region in first} if second else first


def _means(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    collected: dict[str, list[float]] = {}
    for row in rows:
        for region, value in row.items():
            collected.setdefault(region, []).append(value)
    return {region: float(np.mean(found)) for region, found in collected.items()}


def _percent(side: PicturePairs, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of ``quality`` from that of LPIPS."""
    entry = {"unit": "%", "better": "higher", "anchor": side.anchor, "value": None, "ci95": None, "n": 0}
    entry |= {"floor": None, "floor_of": raw["floor_of"], "visible": raw["visible"]}
    if not all(pair.nothing for pair in side.pairs):
        return entry
    above = [values("lpips", pair)[""] for pair in side.pairs]
    below = [values("lpips", replace(pair, candidate=pair.nothing))[""] for pair in side.pairs]
    if not sum(below):
        return {**entry, "anchor": f"{side.anchor}, which is the reference itself"}
    ratio, ends = statistics.ratio(above, below, [pair.input for pair in side.pairs])
    floor = raw["floor"]
    if floor is not None:
        floor = 100 * floor / float(np.mean(below))
        floor = floor if side.against == "truth" else 100 - floor
    ci95 = [100 * (1 - end) for end in reversed(ends)] if ends else None
    return {**entry, "value": 100 * (1 - ratio), "ci95": ci95, "n": len(above), "floor": floor}


def warm(sides: Mapping[str, Iterable[PicturePairs]]) -> None:
    """Have the values of metrics on many sides ready, input by input, so that what images share is computed once."""
    for name, some in sides.items():
        pairs = dict.fromkeys(pair for side in some for pair in _all(side, name))
        for pair in sorted(pairs, key=lambda pair: (pair.input, pair.seed)):
            with contextlib.suppress(Failed, ValueError):  # raised again where it is reported
                values(name, pair)


def _all(side: PicturePairs, name: str) -> Iterator[PicturePair]:
    yield from side.pairs
    yield from side.baseline
    yield from (pair for _, twins in side.noise for pairs in twins for pair in pairs)
    if name == "lpips":
        yield from (replace(pair, candidate=pair.nothing) for pair in side.pairs if pair.nothing)


def values(name: str, pair: PicturePair) -> Mapping[str, float]:
    """One metric on one pair: over the whole picture (``""``) and over each region that there is."""
    return _values(name, pair.candidate, pair.reference, pair.masks)


def forget() -> None:
    """Read and score all anew: in a process that scores more than once, files may have changed in between."""
    for cached in (_values, _read, _read_regions):
        cached.cache_clear()


@functools.cache
def _values(name: str, candidate_of: Picture, reference_of: Picture, masks: Masks | None) -> Mapping[str, float]:
    metric = registry.metrics()[name]
    reference = _read(reference_of)
    size = (reference.shape[1], reference.shape[0])
    candidate = _read(candidate_of, size)
    if metric.of == "masks":
        return {"": metric.compute(candidate[..., 0] >= 128, reference[..., 0] >= 128)}
    one, other = (image.astype(np.float32) / 255 for image in (candidate, reference))
    if metric.within:
        return metric.within(one, other, _read_regions(masks, size) if masks else {})
    return {"": metric.compute(one, other)}


def _resized(pair: PicturePair) -> str | None:
    """From which size to which a candidate was resized."""
    (height, width), (to_height, to_width) = _read(pair.candidate).shape[:2], _read(pair.reference).shape[:2]
    return None if (height, width) == (to_height, to_width) else f"{width}x{height} to {to_width}x{to_height}"


@functools.lru_cache(maxsize=64)
def _read(picture: Picture, size: tuple[int, int] | None = None) -> np.ndarray:
    try:
        return picture.read(size)
    except BadInput as error:
        gone = picture.noise and not picture.path.exists()  # and not an input that belongs to it
        raise Failed(sources.NOT_KEPT if gone else str(error)) from None


@functools.lru_cache(maxsize=64)
def _read_regions(masks: Masks, size: tuple[int, int]) -> dict[str, np.ndarray]:
    try:
        return masks.regions(size)
    except BadInput as error:
        raise Failed(str(error)) from None
