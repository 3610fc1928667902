"""What is compared with what: a candidate's stored images with the baseline's, the known answers, and float32's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench.catalog import rounding
from mic2e_bench.catalog.regions import Masks, Picture
from mic2e_bench.plan import inputs
from mic2e_bench.records.comparable import FLOAT32, TRUTH
from mic2e_bench.records.record import Record

# sources of noise beside rounding's, with what they change
UNSEEN = {"one grey level": "grain", "one grey level brighter": "lift"}
EDGE, REPEAT = "half a pixel at the edge", "a repeat"
EDITING = ("removal", "inpainting")  # tasks with a mask


@dataclass(frozen=True)
class PicturePair:
    """One comparison. ``input`` and ``seed`` are what makes two images comparable (``key``)."""

    input: str
    seed: int
    candidate: Picture
    reference: Picture
    masks: Masks | None = None

    @property
    def place(self) -> tuple[str, int]:
        return self.input, self.seed


@dataclass(frozen=True)
class PicturePairs:
    """All pairs of one record against one reference.

    ``against`` is the baseline's id, ``TRUTH`` or ``FLOAT32``; ``missing`` names images without a counterpart.
    ``own`` are the baseline's images, by place. ``noise`` is what they give without a change that anybody made: for
    each of its sources, against the baseline, pairs of two such images; against the others, two pairs each, whose
    values differ by noise alone. Of ``judged`` and ``baseline`` the second is the baseline's pair in the same place:
    the values of both are compared. They are those against the truth or float32; against the baseline, those that
    the same record has against float32, if any.
    """

    against: str
    pairs: tuple[PicturePair, ...]
    missing: tuple[str, ...] = ()
    noise: tuple[tuple[str, tuple[tuple[PicturePair, ...], ...]], ...] = ()
    own: Mapping[tuple[str, int], Picture] | None = None
    judged: tuple[PicturePair, ...] = ()
    baseline: tuple[PicturePair, ...] = ()

    def every(self) -> Iterator[PicturePair]:
        """All pairs of which a metric's value is needed."""
        yield from (*self.pairs, *self.judged, *self.baseline)
        yield from (pair for _, twins in self.noise for pairs in twins for pair in pairs)


@dataclass(frozen=True)
class StoredStudy:
    """The baseline's record (``None``: not measured), the task, the folder of the images and the inputs' files.

    ``noise``: the weights are random, and the images need not be kept. ``exact`` is the baseline's float32 record.
    """

    baseline: Record | None
    task: str
    folder: Path
    answers: Mapping[str, Mapping[str, Path]]
    noise: bool = False
    exact: Record | None = None

    def picture(self, image: Mapping[str, Any], **changes: bool) -> Picture:
        return Picture(self.folder / image["file"], noise=self.noise, **changes)

    def pictures(self, record: Record | None) -> dict[tuple[str, int], Picture]:
        """A record's images by ``key``."""
        return {key(image): self.picture(image) for image in record.images} if record else {}

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

    def pair(self, image: Mapping[str, Any], reference: Picture, changed: Picture | None = None) -> PicturePair:
        """A stored image, or what it was ``changed`` to, beside its reference."""
        return PicturePair(*key(image), changed or self.picture(image), reference, self.masks(image["input"]))


def known(planned: Mapping[str, Any]) -> dict[str, dict[str, Path]]:
    """The files of each input of a trial: ``{name: {"image"|"mask"|"truth"|"shadow": path}}``."""
    return {name: inputs.answers(planned, name) for name in planned["items"]}


def key(image: Mapping[str, Any]) -> tuple[str, int]:
    """What makes two images comparable: the input and the seed; the images of one call count up from its seed."""
    return image["input"], image["seed"] + image.get("index", 0)


def sides(record: Record, study: StoredStudy) -> list[PicturePairs]:
    """A record against all that there is: its study's baseline, the known answers, float32."""
    found = [with_baseline(record, study)] if study.baseline else []
    return found + [side for side in (with_truth(record, study), with_float32(record, study)) if side.pairs]


def with_baseline(record: Record, study: StoredStudy) -> PicturePairs:
    """A record's images beside the baseline's of the same input and seed."""
    there = study.pictures(study.baseline)
    pairs, missing = [], []
    for image in record.images:
        if key(image) in there:
            pairs.append(study.pair(image, there[key(image)]))
        elif not image.get("index"):  # only the first image of a larger batch is one that the baseline makes as well
            missing.append(f"the baseline has no image of input '{image['input']}', seed {image['seed']}")
    noise = [
        (source, tuple((study.pair(one, study.picture(one), changed),) for one, changed in twins))
        for source, twins in twins_of(study.baseline.images, study).items()
    ]
    exact = with_float32(record, study)
    return PicturePairs(
        study.baseline.id, tuple(pairs), tuple(missing), tuple(noise), there, exact.pairs, exact.baseline
    )


def with_truth(record: Record, study: StoredStudy) -> PicturePairs:
    """A record's images beside the known answers of their inputs; inputs without one have no pair."""
    return _beside(TRUTH, record, study, lambda image: study.truth(image["input"]))


def with_float32(record: Record, study: StoredStudy) -> PicturePairs:
    """A record's images beside those that the baseline's settings give in float32; no pairs where nobody made them."""
    there = study.pictures(study.exact)
    return _beside(FLOAT32, record, study, lambda image: there.get(key(image)))


def _beside(
    against: str, record: Record, study: StoredStudy, reference: Callable[[Mapping[str, Any]], Picture | None]
) -> PicturePairs:
    def pairs_of(record: Record | None) -> tuple[PicturePair, ...]:
        images = record.images if record else ()
        return tuple(study.pair(image, found) for image in images if (found := reference(image)))

    images = [image for image in study.baseline.images if reference(image)] if study.baseline else []
    noise = [
        (
            source,
            tuple(tuple(study.pair(one, reference(one), each) for each in (changed, None)) for one, changed in twins),
        )
        for source, twins in twins_of(images, study).items()
    ]
    mine = pairs_of(record)
    return PicturePairs(against, mine, (), tuple(noise), study.pictures(study.baseline), mine, pairs_of(study.baseline))


def twins_of(
    images: Sequence[Mapping[str, Any]], study: StoredStudy
) -> dict[str, list[tuple[Mapping[str, Any], Picture]]]:
    """The baseline's images, each with one that differs by noise alone, by the source of the noise.

    Of ``one grey level`` every value is raised or lowered by at most one of its 256 levels, at random; with ``half a
    pixel at the edge`` a mask lacks half of the pixels there: nobody sees either. The others are the call made once
    more with nothing but its rounding changed, and a repeat, where that is another picture at all.
    """
    unseen = {EDGE: "frayed"} if study.task == "segmentation" else UNSEEN
    found = {
        source: [(one, study.picture(one, **{change: True})) for one in images] for source, change in unseen.items()
    }
    for name, source in rounding.KINDS.items():
        found[source] = [(one, study.picture(one["floor"][name])) for one in images if name in one.get("floor", {})]
    repeated = [one for one in images if one.get("again", one)["sha256"] != one["sha256"]]
    found[REPEAT] = [(one, study.picture(one["again"])) for one in repeated]
    return {source: twins for source, twins in found.items() if twins}
