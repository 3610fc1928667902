"""The five pipelines from saved folders and real picture files, through the command line; and the receipts."""

import shutil

import helpers
import pytest
from helpers import on_disk
from PIL import ImageChops

from mic2e_bench.paths import BUNDLED

SIZES = ((96, 80), (72, 112))  # width, height
SHORT_SIDE = {"steps": 1, "resolution": 64, "guidance": 1.0, "threads": 1}
GENERATE = {"steps": 1, "resolution": 64, "threads": 1}
STUDIES = {
    "objectclear": {"baseline": SHORT_SIDE, "vary": {"resolution": [64, 72]}},
    "sdxl-inpaint": {"baseline": SHORT_SIDE, "vary": {"resolution": [64, 72]}},
    "flux-schnell": {"baseline": GENERATE, "vary": {"resolution": ["64x96", "96x80"]}},
    "z-image-turbo": {"baseline": GENERATE, "vary": {"resolution": ["64x96", "96x80"]}},
    "sam3": {"baseline": {"threads": 1}, "vary": {"prompt_kind": ["text", "points", "box"]}},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One command over all five, on copies of the bundled models in their saved layout."""
    folder = tmp_path_factory.mktemp("pipelines")
    inputs = helpers.inputs(folder / "in", SIZES)
    protocol = {"warmup": 0, "repeats": 1, "seeds": [1]}
    files = []
    for name, study in STUDIES.items():
        model = shutil.copytree(BUNDLED / name, folder / "models" / name)
        content = {
            "study": name,
            "pipeline": name,
            "model": str(model),
            "inputs": inputs,
            "protocol": protocol,
            **study,
        }
        metrics = ["iou"] if name == "sam3" else ["psnr"]
        files.append(helpers.file(folder / f"{name}.yaml", {**content, "metrics": metrics}))
    code = helpers.cli.main(["run", *map(str, files), "--results", str(folder), "--strict"])
    assert code == 0
    return folder


@pytest.mark.parametrize("name", STUDIES)
def test_real_pictures_at_sizes_that_are_not_square(name, results):
    records = on_disk(results, name)
    assert {record["status"] for record in records.values()} == {"ok"}
    assert helpers.whole(results, name)
    for record in records.values():
        assert record["trial"]["model"]["path"] == str(results / "models" / name)
        wanted = SIZES
        if name in ("flux-schnell", "z-image-turbo"):
            height, width = record["trial"]["settings"]["resolution"]
            wanted = [(width, height)] * 2
        pictures = helpers.pictures(results, name, record)
        assert [picture.size for picture in pictures] == list(wanted)
        if name != "sam3":  # whose answer on an unknown drawing may be an empty mask
            assert all(max(high - low for low, high in picture.getextrema()) > 10 for picture in pictures)
        else:
            assert all({colour for _, colour in picture.getcolors()} <= {0, 255} for picture in pictures)


@pytest.mark.parametrize("name", ["objectclear", "sdxl-inpaint", "flux-schnell", "z-image-turbo"])
def test_settings_change_the_picture(name, results):
    by_setting = {label: [i["sha256"] for i in r["images"]] for label, r in on_disk(results, name).items()}
    assert len({tuple(hashes) for hashes in by_setting.values()}) == len(by_setting)


def test_the_model_sees_the_size_that_was_asked_for(results):
    seen = {label: r["receipts"]["resolution"] for label, r in on_disk(results, "objectclear").items()}
    assert seen["baseline"]["how"] == "the VAE decoded 64x80 (height x width)"
    assert seen["resolution=72"]["seen"] == 80  # the next multiple of 16
    seen = on_disk(results, "flux-schnell")["resolution=64x96"]["receipts"]["resolution"]
    assert seen["seen"] == [64, 96] and seen["applied"]


@pytest.fixture(scope="module")
def receipts_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("receipts")


@pytest.fixture(scope="module")
def receipts(receipts_folder):
    """Receipts of ``pipeline`` with ``settings``, measured once for all tests: a study of all cases of a pipeline."""
    measured = {}
    for name in STUDIES:
        rows = [settings for pipeline, settings, *_ in CASES if pipeline == name]
        base = {key: value for key, value in STUDIES[name]["baseline"].items() if key != "resolution" or value == 64}
        content = {
            "study": name, "pipeline": name, "inputs": helpers.photos(), "baseline": base,
            "trials": [{"label": str(row), **row} for row in rows], "protocol": {"warmup": 0, "repeats": 1},
        }  # fmt: skip
        helpers.run(content, receipts_folder, force=True)
        measured[name] = on_disk(receipts_folder, name)
    return measured


FLASH = "_scaled_dot_product_flash_attention_for_cpu"
# pipeline, settings, the setting that is looked at, what is seen, whether it is in force, what the receipt says; every
# kernel on every pipeline is in toggles/test_attention.py
CASES = [
    ("objectclear", {"attention": "math"}, "attention", "math", True, "scaled_dot_product_attention"),
    ("objectclear", {"attention": "sliced:1"}, "attention", "sliced:1", True, "slice size 1"),
    ("objectclear", {"precision": "bf16"}, "precision", "bf16", True, "bf16 100.0%"),
    ("objectclear", {"precision": "fp16"}, "precision", "fp16", True, "VAE decoder's input"),
    ("objectclear", {"guidance": 2.5}, "guidance", 2.5, True, "denoiser batch 2"),
    ("objectclear", {"guidance": 1.0, "steps": 2}, "guidance", 1.0, True, "denoiser batch 1"),
    ("objectclear", {"steps": 3}, "steps", 3, True, "3 denoiser calls"),
    ("sdxl-inpaint", {"attention": "xformers"}, "attention", "sliced:auto", False, "SlicedAttnProcessor"),
    ("flux-schnell", {"attention": "native", "steps": 2}, "attention", "native", True, FLASH),
    ("flux-schnell", {"attention": "xformers"}, "attention", "native", False, FLASH),
    ("flux-schnell", {"guidance": 3.5}, "guidance", 0.0, False, "denoiser batch 1"),
    ("z-image-turbo", {"attention": "sliced:1"}, "attention", "native", False, FLASH),
    ("z-image-turbo", {"guidance": 0.0, "steps": 2}, "guidance", 0.0, True, "denoiser batch 1"),
    ("z-image-turbo", {"guidance": 1.0}, "guidance", 1.0, True, "denoiser batch 2"),
    ("sam3", {"attention": "xformers"}, "attention", "native", False, ""),
    ("sam3", {"precision": "bf16"}, "precision", "bf16", True, "bf16"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_receipts(case, receipts):
    name, settings, looked_at, seen, applied, how = case
    record = receipts[name][str(settings)]
    receipt = record["receipts"][looked_at]
    assert (receipt["seen"], receipt["applied"]) == (seen, applied), receipt
    assert how in receipt["how"]
    assert record["status"] == ("ok" if applied else "not_applied"), record["reason"]
    if not applied:
        assert receipt["reason"] and looked_at in record["reason"]
    if settings.get("attention") == "xformers":
        assert "fell back to attention slicing" in receipt["reason"]


@pytest.mark.parametrize("name", ["objectclear", "sdxl-inpaint", "flux-schnell", "z-image-turbo"])
def test_the_same_picture_whatever_computes_the_attention(name, receipts, receipts_folder):
    (wanted,) = helpers.pictures(receipts_folder, name, receipts[name]["baseline"])
    others = [record for label, record in receipts[name].items() if "attention" in label and "steps" not in label]
    assert others
    for record in others:
        (picture,) = helpers.pictures(receipts_folder, name, record)
        assert max(high for _, high in ImageChops.difference(picture, wanted).getextrema()) <= 2


def test_weights_in_16_bits_weigh_half(receipts):
    records = receipts["objectclear"]
    full = records["baseline"]["memory"]["weights_bytes"]
    half = records[str({"precision": "bf16"})]["memory"]["weights_bytes"]
    assert half == pytest.approx(full / 2, rel=0.01)
