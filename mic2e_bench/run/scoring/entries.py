"""From pairs of pictures to the entries of a record's ``quality``. Runs in the scoring child.

An entry's key is the metric's name (``lpips``: against the baseline on the same input and seed), with ``.truth``
against the known answers, ``.float32`` against what the baseline's settings give in float32, and with ``.inside``,
``.outside`` or ``.ring`` for a region (``psnr.truth.inside``). It has

``value``     mean over inputs and seeds, in ``unit``; ``None`` where it could not be had: ``problem`` says why
``ci95``      ``[low, high]``, over inputs; ``None`` below 100 of them; ``n`` is the number of images
``better``    ``lower`` or ``higher``
``against``   the baseline's id, ``truth`` or ``float32``
``backbone``  what a learned metric, or one of perception, measured with
``floor``     the noise: against the baseline, the value that its own images get where only rounding differs; against
              the others, by how much their value then differs. The largest of a change by one grey level (of a mask:
              half a pixel at its edge), of those of ``catalog/rounding`` and of a repeat that was not equal
              (``floor_of`` says which); ``None`` where there is none to go by
``pairs``     by input and seed: how many
``difference``  to the baseline's own value against the truth or float32, paired, with ``difference_ci95``; in an entry
              against the baseline that to float32; ``None`` where there is none
``told``      what may be said: ``same`` (equal pixels), ``too few`` (fewer than ``ENOUGH`` pairs), ``rounding`` (within
              the floor, or no farther from float32 than the baseline itself: cannot be told from rounding), ``visible``
              (beyond that), ``unknown`` (no floor of rounding was measured, or pictures disagree on the difference)
``visible``   ``told`` as true or false; ``None`` where it is neither
``resized``   sizes, where a candidate was resized to the reference's size
``stamp``     fingerprint of all that the entry was made of
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mic2e_bench import statistics
from mic2e_bench.catalog import registry, rounding
from mic2e_bench.catalog.metric import Metric
from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.regions import Masks, Picture
from mic2e_bench.errors import BadInput, Unavailable
from mic2e_bench.records.comparable import FLOAT32, TRUTH
from mic2e_bench.run.scoring.pairs import PicturePair, PicturePairs

Entries = dict[str, dict[str, Any]]
ENOUGH = 5  # pairs, below which nothing is said of quality
VISIBLE = {"same": False, "rounding": False, "visible": True}


computed: dict[bytes, Mapping[str, float]] = {}  # values of pairs by what these consist of: no file is asked again


class Failed(RuntimeError):
    """A picture that cannot be compared, and why, in one line."""


def score(metric: Metric, side: PicturePairs, stamp: str) -> Entries:
    """Entries of one metric against one reference."""
    suffix = f".{side.against}" if side.against in (TRUTH, FLOAT32) else ""
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
    except (Failed, Unavailable, ValueError) as error:
        if not isinstance(error, ValueError):  # a file or a package may come; what the metric cannot do stays so
            del about["stamp"]
        made = {f"{metric.name}{suffix}": {"value": None, "ci95": None, "n": 0, "problem": str(error)}}
    return {key: {**about, **entry} for key, entry in made.items()}


def _regions(metric: Metric, side: PicturePairs) -> Entries:
    """Entries over the whole picture (``""``) and each region (``".inside"``)."""
    rows = [values(metric.name, pair) for pair in side.pairs]
    floors = _floors(metric, side)
    own = {pair.place: values(metric.name, pair) for pair in side.baseline}
    judged = [(values(metric.name, pair), own[pair.place]) for pair in side.judged if pair.place in own]
    same = all(_equal(pair, side) for pair in side.pairs)
    resized = ", ".join(dict.fromkeys(filter(None, map(_resized, side.pairs))))
    found = {}
    for region in dict.fromkeys(region for row in rows for region in row):
        there = [(row[region], pair.input) for row, pair in zip(rows, side.pairs, strict=True) if region in row]
        value, ci95 = _mean(metric, *zip(*there, strict=True))
        floor, floor_of = floors.get(region, (None, None))
        apart = [one[region] - other[region] for one, other in judged if region in one and region in other]
        centre, ends = statistics.paired(apart) if apart else (None, None)
        entry = {"value": value, "ci95": ci95, "n": len(there), "floor": floor, "floor_of": floor_of}
        entry |= {"pairs": len(there), "difference": centre, "difference_ci95": ends if len(apart) >= ENOUGH else None}
        entry["told"] = "same" if same else _told(metric, side, entry)
        entry["visible"] = VISIBLE.get(entry["told"])
        found[f".{region}" if region else ""] = {**entry, "resized": resized} if resized else entry
    return found


def _told(metric: Metric, side: PicturePairs, entry: Mapping[str, Any]) -> str:
    """What may be said of pictures that are not all equal to the baseline's."""
    floor, centre, ends = entry["floor"], entry["difference"], entry["difference_ci95"]
    worse = 1 if metric.better == "lower" else -1
    if entry["pairs"] < ENOUGH:
        return "too few"
    if floor is None:
        return "unknown"
    if side.against in (TRUTH, FLOAT32):
        if centre is None:
            return "unknown"
        within, agreed = abs(centre) <= floor, not ends or not ends[0] <= 0 <= ends[1]
    else:
        within, agreed = worse * entry["value"] <= worse * floor, True
        within |= centre is not None and worse * centre <= 0  # nearer to float32 than the baseline is: not worse
    if within:
        return "rounding"
    measured = {source for source, _ in side.noise} & {*rounding.KINDS.values()}
    return "visible" if measured and agreed else "unknown"


def _equal(pair: PicturePair, side: PicturePairs) -> bool:
    """Whether a candidate's pixels are the baseline's."""
    own = (side.own or {}).get(pair.place)
    return own is not None and (own == pair.candidate or np.array_equal(_read(own), _read(pair.candidate)))


def _mean(metric: Metric, found: Sequence[float], inputs: Sequence[str]) -> tuple[float, list[float] | None]:
    """The value of several pictures together, and its interval over inputs."""
    to, back = metric.averaged or (float, float)
    value, ci95 = statistics.mean([to(each) for each in found], inputs)
    return back(value), sorted(map(back, ci95)) if ci95 else None


def _floors(metric: Metric, side: PicturePairs) -> Mapping[str, tuple[float, str]]:
    """The largest noise in each region, and its source."""
    # against the baseline a *worse* value is the larger noise
    apart = side.against in (TRUTH, FLOAT32)
    larger = min if metric.better == "higher" and not apart else max
    found: dict[str, tuple[float, str]] = {}
    for source, twins in side.noise:
        rows = [_noise(metric, pairs) for pairs in twins]
        for region in dict.fromkeys(region for row in rows for region in row):
            several = [row[region] for row in rows if region in row]
            to, back = (not apart and metric.averaged) or (float, float)
            value = back(np.mean([to(each) for each in several]))
            found[region] = larger(found.get(region, (value, source)), (value, source), key=lambda pair: pair[0])
    return found


def _noise(metric: Metric, pairs: tuple[PicturePair, ...]) -> Mapping[str, float]:
    first, *second = [values(metric.name, pair) for pair in pairs]
    return {region: abs(first[region] - second[0][region]) for region in first} if second else first


def warm(sides: Mapping[str, Iterable[PicturePairs]]) -> None:
    """Have the values of metrics on many sides ready, input by input, so that what images share is computed once."""
    for name, some in sides.items():
        pairs = dict.fromkeys(pair for side in some for pair in side.every())
        for pair in sorted(pairs, key=lambda pair: pair.place):
            with contextlib.suppress(Failed, Unavailable, ValueError):  # raised again where it is reported
                values(name, pair)


def values(name: str, pair: PicturePair) -> Mapping[str, float]:
    """One metric on one pair: over the whole picture (``""``) and over each region that there is."""
    return _values(name, pair.candidate, pair.reference, pair.masks)


def forget() -> None:
    """Read and score all anew: in a process that scores more than once, files may have changed in between."""
    for cached in (_values, _read, _read_regions):
        cached.cache_clear()
    computed.clear()


@functools.cache
def _values(name: str, candidate_of: Picture, reference_of: Picture, masks: Masks | None) -> Mapping[str, float]:
    metric = registry.metrics()[name]
    if metric.source:
        found = _values(metric.source(), candidate_of, reference_of, masks)
        return {region: metric.compute(value) for region, value in found.items()}
    reference = _read(reference_of)
    size = (reference.shape[1], reference.shape[0])
    candidate = _read(candidate_of, size)
    regions = _read_regions(masks, size) if metric.within and masks else {}
    key = _digest([name, metric.backbone and metric.backbone(), *regions], [candidate, reference, *regions.values()])
    if key not in computed:
        computed[key] = _compute(metric, candidate, reference, regions)
    return computed[key]


def _compute(
    metric: Metric, candidate: np.ndarray, reference: np.ndarray, regions: Mapping[str, np.ndarray]
) -> Mapping[str, float]:
    if metric.of == "masks":
        return {"": metric.compute(candidate[..., 0] >= 128, reference[..., 0] >= 128)}
    one, other = (image.astype(np.float32) / 255 for image in (candidate, reference))
    return metric.within(one, other, regions) if metric.within else {"": metric.compute(one, other)}


def _digest(names: Sequence[Any], arrays: Sequence[np.ndarray]) -> bytes:
    """What identifies a value: names, and the contents of arrays."""
    found = hashlib.blake2b(repr([*names, *(array.shape for array in arrays)]).encode(), digest_size=16)
    for array in arrays:
        found.update(np.ascontiguousarray(array))
    return found.digest()


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
