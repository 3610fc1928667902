"""What is compared with what: a candidate's stored images with the baseline's, and with the known answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mic2e_bench.catalog.regions import Masks, Picture
from mic2e_bench.plan import inputs
from mic2e_bench.records.record import Record

GREY, REPEAT, SEED = "one grey level", "a repeat", "another seed"  # sources of noise
EDITING = ("removal", "inpainting")  # tasks with a mask


@dataclass(frozen=True)
class PicturePair:
    """One comparison. ``nothing`` is the picture that a candidate without any information would be."""

    input: str
    seed: int
    candidate: Picture
    reference: Picture
    masks: Masks | None = None
    nothing: Picture | None = None


@dataclass(frozen=True)
class PicturePairs:
    """All pairs of one record against one reference.

    ``against`` is the baseline's id or ``truth``; ``anchor`` says what every pair's ``nothing`` is, or that there is
    none; ``missing`` names images without a counterpart. ``noise`` is what the baseline's own images give without a
    change that anybody made: for each of its sources, against the baseline, pairs of two such images; against the
    truth, two pairs each, whose values differ by noise alone. ``baseline`` are the baseline's pairs against the truth.
    """

    against: str
    pairs: tuple[PicturePair, ...]
    anchor: str = ""
    missing: tuple[str, ...] = ()
    noise: tuple[tuple[str, tuple[tuple[PicturePair, ...], ...]], ...] = ()
    baseline: tuple[PicturePair, ...] = ()


@dataclass(frozen=True)
class StoredStudy:
    """The baseline's record (``None``: not measured), the task, the folder of the images and the inputs' files.

    ``noise``: the weights are random, and the images need not be kept.
    """

    baseline: Record | None
    task: str
    folder: Path
    answers: Mapping[str, Mapping[str, Path]]
    noise: bool = False

    def picture(self, image: Mapping[str, Any], grain: bool = False) -> Picture:
        return Picture(self.folder / image["file"], grain=grain, noise=self.noise)

    def truth(self, name: str) -> Picture | None:
        """The right answer: a removal's clean plate, an inpainting's only inside the mask, a segmentation's mask."""
        files = self.answers[name]
        if self.task == "segmentation":
            return Picture(files["mask"], is_mask=True) if "mask" in files else None
        if self.task not in EDITING or not {"truth", "image", "mask"} <= set(files):
            return None
        if self.task == "inpainting":  # a shadow outside the mask is not its business
            return Picture(files["truth"], files["image"], files["mask"])
        return Picture(files["truth"])

    def masks(self, name: str) -> Masks | None:
        """The regions of an editing task; a shadow goes with its object in a removal only."""
        files = self.answers[name]
        if "mask" not in files or self.task not in EDITING:
            return None
        return Masks(files["mask"], files.get("shadow") if self.task == "removal" else None)

    def untouched(self, name: str) -> Picture | None:
        """The picture that an editing task was given."""
        return Picture(self.answers[name]["image"]) if self.task in EDITING else None

    def pair(
        self, image: Mapping[str, Any], reference: Picture, nothing: Picture | None, changed: Picture | None = None
    ) -> PicturePair:
        """A stored image, or what it was ``changed`` to, beside its reference."""
        name = image["input"]
        return PicturePair(name, image["seed"], changed or self.picture(image), reference, self.masks(name), nothing)


def known(planned: Mapping[str, Any]) -> dict[str, dict[str, Path]]:
    """The files of each input of a trial: ``{name: {"image"|"mask"|"truth"|"shadow": path}}``."""
    return {name: inputs.answers(planned, name) for name in planned["items"]}


def key(image: Mapping[str, Any]) -> tuple[str, int]:
    """What makes two images comparable: the input and the seed; the images of one call count up from its seed."""
    return image["input"], image["seed"] + image.get("index", 0)


def with_baseline(record: Record, study: StoredStudy) -> PicturePairs:
    """A record's images beside the baseline's of the same input and seed."""
    images = study.baseline.images
    there = {key(image): image for image in images}
    nothing, anchor = anchors(study)
    pairs, missing = [], []
    for image in record.images:
        if key(image) in there:
            reference = study.picture(there[key(image)])
            pairs.append(study.pair(image, reference, nothing.get(key(image))))
        elif not image.get("index"):  # only the first image of a larger batch is one that the baseline makes as well
            missing.append(f"the baseline has no image of input '{image['input']}', seed {image['seed']}")
    noise = [
        (source, tuple((study.pair(one, study.picture(one), None, changed),) for one, changed in twins))
        for source, twins in twins_of(images, study).items()
        # another seed of a task that invents its picture is another picture, not noise
        if source != SEED or study.task == "removal"
    ]
    return PicturePairs(study.baseline.id, tuple(pairs), anchor, tuple(missing), tuple(noise))


def with_truth(record: Record, study: StoredStudy) -> PicturePairs:
    """A record's images beside the known answers of their inputs; inputs without one have no pair."""

    def pair(image: Mapping[str, Any], changed: Picture | None = None) -> PicturePair:
        name = image["input"]
        return study.pair(image, study.truth(name), study.untouched(name), changed)

    def answered(record: Record | None) -> list[Mapping[str, Any]]:
        return [image for image in record.images if study.truth(image["input"])] if record else []

    images = answered(study.baseline)
    noise = [
        (source, tuple((pair(one, changed), pair(one)) for one, changed in twins))
        for source, twins in twins_of(images, study).items()
    ]
    anchor = "the untouched input" if study.task in EDITING else ""
    return PicturePairs("truth", tuple(map(pair, answered(record))), anchor, (), tuple(noise), tuple(map(pair, images)))


def twins_of(
    images: Sequence[Mapping[str, Any]], study: StoredStudy
) -> dict[str, list[tuple[Mapping[str, Any], Picture]]]:
    """The baseline's images, each with one that differs by noise alone, by the source of the noise.

    ``one grey level`` is the same image with every value raised or lowered by at most one of its 256 levels, which
    nobody sees; ``a repeat`` is the same setting run twice; ``another seed`` is that.
    """
    found: dict[str, list[tuple[Mapping[str, Any], Picture]]] = {GREY: [], REPEAT: [], SEED: []}
    if study.task != "segmentation":
        found[GREY] = [(one, study.picture(one, grain=True)) for one in images]
    found[REPEAT] = [(one, study.picture(one["again"])) for one in images if "again" in one]
    by_input: dict[str, list[Mapping[str, Any]]] = {}
    for image in images:
        by_input.setdefault(image["input"], []).append(image)
    for same in by_input.values():
        found[SEED] += [(one, study.picture(other)) for one, other in pairwise(same)]
    return {source: twins for source, twins in found.items() if twins}


def anchors(study: StoredStudy) -> tuple[dict[tuple[str, int], Picture], str]:
    """The picture without information for each of the baseline's images (by ``key``), and what it is in words.

    For editing it is the untouched input; for generation the baseline's image of the next seed or, where there is one
    seed only, of the next input.
    """
    images = {key(image): image for image in study.baseline.images}
    if study.task == "segmentation":
        return {}, ""
    if study.task in EDITING:
        return {place: study.untouched(place[0]) for place in images}, "the untouched input"
    names, seeds = ([*dict.fromkeys(place[which] for place in images)] for which in (0, 1))
    if len(seeds) > 1:
        later = dict(zip(seeds, seeds[1:] + seeds[:1], strict=True))
        others, words = {(name, seed): (name, later[seed]) for name, seed in images}, "another seed"
    elif len(names) > 1:
        later = dict(zip(names, names[1:] + names[:1], strict=True))
        others, words = {(name, seed): (later[name], seed) for name, seed in images}, "another input"
    else:
        return {}, "missing: the baseline has one input and one seed"
    pictures = {place: study.picture(images[other]) for place, other in others.items()}
    return pictures, f"the baseline's image of {words}"
