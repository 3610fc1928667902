"""The page of a comparison in a browser: narrow and wide, light and dark, nothing asked of the network."""

import hashlib
import itertools

import pytest
from comparing import put, put_rounds
from helpers import picture, study, tiny

from mic2e_bench.tools.compare import compare, images, page

SLOW = {"baseline": 1.0, "steps=2": 3.0, "steps=4": 2.0}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page with something worse, better, missing and inconclusive, and with pictures that changed."""
    folder = tmp_path_factory.mktemp("compare")
    made = study(tiny(vary={"steps": [2, 4, 8]}))
    for number, side in enumerate(("base", "head")):
        for turn in range(6):
            place = folder / side / f"{turn:02}" / "tiny" / "images" / "a.png"
            place.parent.mkdir(parents=True)
            picture((64, 48), seed=20 * number).save(place)
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        seconds = {"baseline": 1.0, "steps=2": 2.0, "steps=4": 4.0} if side == "base" else SLOW
        put_rounds(folder / "made", made, seconds, seconds, sha=digest)
        for turn in range(6):
            stored = folder / "made" / side / f"{turn:02}" / "tiny"
            for path in stored.glob("*.json"):
                path.rename(folder / side / f"{turn:02}" / "tiny" / path.name)
    put(folder / "base", made, {"steps=8": 8.0}, label="<b>a long name " * 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "score", lambda jobs, log: ({}, []))
        found = compare.compare(folder / "base", folder / "head")
    target = folder / "compare.html"
    target.write_text(page.html(found))
    return target


@pytest.mark.parametrize(("width", "dark"), [(400, False), (1600, True)])
def test_it_fits_and_is_readable(written, visit, width, dark):
    with visit(width=width, dark=dark) as seen:
        seen.page.goto(written.as_uri())
        assert seen.quiet() and seen.serious() == [] and seen.is_too_wide() <= 0
        assert seen.page.locator(".answer").inner_text().startswith("Fails: ")
        assert seen.page.locator("table.changed img").count() == 9
        loaded = "(all) => all.every((one) => one.complete && one.naturalWidth > 0)"
        assert seen.page.locator("img").evaluate_all(loaded)
        boxes = [box.bounding_box() for box in seen.page.locator("table.forest thead text").all()]
        edges = sorted((box["x"], box["x"] + box["width"]) for box in boxes)
        assert all(left[1] <= right[0] for left, right in itertools.pairwise(edges))
