"""What a reader must know before believing a number: what disturbed a trial, and whether it repeats itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mic2e_bench.catalog.toggles.wait_policy import OLDER, VARIABLE
from mic2e_bench.machine import conditions
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record
from mic2e_bench.report.findings import Findings
from mic2e_bench.units import NONE

DISTURBED = " †"
MOST = 3  # trials that a caption names


def disturbed(found: Findings, id: str) -> Sequence[str]:
    """What went on beside a trial that may have moved its numbers."""
    return comparable.disturbed(found.records[id]) if id in found.records else ()


def _of_device(remark: str) -> bool:
    return remark.startswith(conditions.POWER)


def _some(texts: Sequence[str]) -> str:
    return "; ".join(texts[:MOST]) + (f" and {len(texts) - MOST} more" if len(texts) > MOST else "")


def mark(found: Findings, *ids: str) -> str:
    """What is put behind a figure that rests on these trials, where one of them was disturbed."""
    return DISTURBED if any(disturbed(found, id) for id in ids) else ""


def marked(found: Findings, ratios: Sequence[str]) -> list[str]:
    """Figures against the baseline, one a trial, each with its mark where one of the two was disturbed."""
    ids, base = found.trials["id"], found.baseline["id"]
    return [f"{text}{'' if text == NONE else mark(found, base, id)}" for text, id in zip(ratios, ids, strict=True)]


def disturbed_words(found: Findings, *ids: str) -> str:
    """The sentence on the mark, for a caption; empty where none of these trials (all, by default) was disturbed."""
    labels = zip(found.trials["label"], found.trials["id"], strict=True)
    texts = [f"{label}: {', '.join(disturbed(found, id))}" for label, id in labels
             if disturbed(found, id) and (not ids or id in ids)]  # fmt: skip
    return (
        f"{DISTURBED.strip()}: disturbed while it was measured ({_some(texts)}). Such a figure decides nothing."
        if texts
        else ""
    )


def caption(found: Findings) -> list[str]:
    """Sentences on the marks and on what does not repeat itself; none where there is nothing to say."""
    rows = list(zip(found.trials["label"], found.trials["id"], strict=True))
    parts = list(filter(None, [disturbed_words(found)]))
    said = {label: found.records[id].environment.get("remarks", ()) for label, id in rows if id in found.records}
    unread = list(dict.fromkeys(one for each in said.values() for one in each if not _of_device(one)))
    if remarks := [
        f"{label}: {', '.join(of)}" for label, each in said.items() if (of := list(filter(_of_device, each)))
    ]:
        parts.append(f"How the device is, the same for every call: {_some(remarks)}.")
    if unread:
        parts.append(f"Not all that was given is read: {_some(unread)}.")
    if different := _different(found):
        parts.append(f"The same seed did not give the same image: {'; '.join(different)}.")
    return parts


def of_older_records(found: Findings) -> list[str]:
    """What records of older versions do not say by themselves."""
    own = [one.settings for one in found.records.values() if one.settings.get("device") == "cpu" and one.latency_s]
    if all("wait_policy" in settings for settings in own):
        return []
    return [f"Records without wait_policy are of processes that had {VARIABLE}={OLDER.upper()}."]


def visits(found: Findings) -> str:
    """How far the baseline's median moved between the times it was measured; empty where it was measured once."""
    base = found.records.get(found.baseline["id"])
    if not base or not base.visits or not base.latency_s:
        return ""
    medians = [np.median(seconds) for seconds in (base.latency_s, *(each["latency_s"] for each in base.visits))]
    moved = max(medians) / min(medians) - 1
    return (
        f" The baseline moved by {moved:.0%} between its {len(medians)} visits: a smaller difference than that says "
        "nothing."
    )


def repeats(found: Findings) -> str:
    """Whether the same seed gave the same image again, for the head of a page; empty where nothing was made twice."""
    same = [comparable.is_deterministic(one) for one in found.records.values()]
    twice = [one for one in same if one is not None]
    if not twice:
        return ""
    text = f"the same image, bit for bit, in {sum(twice)} of {len(twice)} trials"
    return f"{text}; {'; '.join(_different(found))}" if not all(twice) else text


def difference(one: Record, folder: Path) -> int | None:
    """The greatest difference of a pixel between images that should be one, of 255; ``folder`` is the study's.

    ``None`` where nothing was made twice. Raises ``OSError`` where an image is gone, ``ValueError`` where the two
    differ in size.
    """
    found = []
    for image in (image for image in one.images if image.get("again")):
        arrays = []
        for stored in (image, image["again"]):
            with Image.open(folder / stored["file"]) as picture:
                arrays.append(np.asarray(picture, dtype=np.int16))
        found.append(int(np.abs(arrays[0] - arrays[1]).max()))
    return max(found, default=None)


def _different(found: Findings) -> list[str]:
    """The trials whose repeat was another image, with the greatest difference of a pixel."""
    texts = []
    for label, id in zip(found.trials["label"], found.trials["id"], strict=True):
        one = found.records.get(id)
        if one and comparable.is_deterministic(one) is False:
            try:
                texts.append(f"{label} differs by up to {difference(one, found.folder)} of 255")
            except (OSError, ValueError):
                texts.append(f"{label} differs, and its images cannot be compared any more")
    return texts
