"""The regions of a picture that are scored apart, and a picture as it is scored."""

import numpy as np

from mic2e_bench.catalog.regions import RING, Masks, Picture


def test_regions_are_exact(tmp_path):
    from PIL import Image

    mask, shadow = np.zeros((2, 80, 100), dtype=np.uint8)
    mask[20:40, 30:50], shadow[40:44, 30:50] = 255, 255
    for name, array in {"mask": mask, "shadow": shadow, "nothing": mask * 0}.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    found = Masks(tmp_path / "mask.png", tmp_path / "shadow.png").regions((100, 80))
    assert found["inside"].sum() == 20 * 24
    assert (found["inside"] ^ found["outside"]).all()
    rows, columns = np.indices((80, 100))
    away = np.hypot(rows - rows.clip(20, 43), columns - columns.clip(30, 49))
    assert (found["ring"] == ((away > 0) & (away <= RING * 80))).all()
    assert Masks(tmp_path / "mask.png").regions((50, 40))["inside"].sum() == 10 * 10
    assert set(Masks(tmp_path / "nothing.png").regions((100, 80))) == {"outside"}


def test_a_picture_is_kept_outside_a_mask(tmp_path):
    from PIL import Image

    for name, value in {"new": 200, "old": 50}.items():
        Image.new("RGB", (10, 8), (value,) * 3).save(tmp_path / f"{name}.png")
    Image.fromarray(np.pad(np.full((4, 4), 255, np.uint8), ((2, 2), (3, 3)))).save(tmp_path / "mask.png")
    array = Picture(tmp_path / "new.png", tmp_path / "old.png", tmp_path / "mask.png").read()
    assert (array[2:6, 3:7] == 200).all()
    assert (array == 200).sum() == 3 * 16
    noisy = Picture(tmp_path / "new.png", grain=True).read().astype(int)
    assert set(np.unique(noisy)) == {199, 200, 201}
    Image.new("RGB", (2, 2), (255, 254, 0)).save(tmp_path / "ends.png")
    assert (Picture(tmp_path / "ends.png", lift=True).read()[0, 0] == (255, 255, 1)).all()


def test_a_frayed_mask_lacks_some_of_its_edge_and_no_more(tmp_path):
    from PIL import Image

    mask = np.pad(np.full((20, 30), 255, np.uint8), 10)
    mask[:, :10] = 255  # up to the picture's side, which is no edge of it
    Image.fromarray(mask).save(tmp_path / "mask.png")
    frayed = Picture(tmp_path / "mask.png", frayed=True).read()[..., 0] == 255
    gone = (mask == 255) & ~frayed
    assert not (frayed & (mask == 0)).any() and not gone[:, :9].any()
    edge = 20 + 10 + 10 + 2 * 30  # of the upright strip beside the block, then of the block
    assert 0.3 * edge < gone.sum() < 0.7 * edge
