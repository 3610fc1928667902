"""What a person gave is used, or one line says why it cannot be, or a remark says what of it is not."""

import unicodedata

import helpers
import pytest
import yaml
from helpers import on_disk, tiny
from PIL import Image

from mic2e_bench import paths
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import tokenizers
from mic2e_bench.catalog.prompts import Reader, misplaced, too_long
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import inputs
from mic2e_bench.report import findings, footnotes

LONG = "orange and brown checks and black dots " * 20
ENDS = "nothing but sand"


def written(folder, texts, name="prompts.yaml"):
    (folder / name).write_text(texts if isinstance(texts, str) else yaml.safe_dump(texts))


def planned(folder, capsys, pipeline="objectclear", **changes):
    path = helpers.file(folder / "study.yaml", tiny(pipeline=pipeline, inputs=str(folder / "in"), **changes))
    return helpers.command(capsys, "plan", path, "--results", folder / "results")


def refused(folder, capsys, pipeline="objectclear", **changes):
    code, out, err = planned(folder, capsys, pipeline, **changes)
    assert code == 2 and out == "" and not (folder / "results").exists(), (code, out, err)
    (line,) = err.splitlines()
    return line


@pytest.fixture
def folder(tmp_path):
    helpers.inputs(tmp_path / "in", [(96, 80), (96, 80)])
    return tmp_path


# ---- points and boxes

WIDTH, HEIGHT = 96, 80
MISPLACED = {
    "box: [40, 8, 8, 40]": "corners swapped",
    "box: [8, 40, 40, 8]": "corners swapped",
    "box: [8, 8, 8, 40]": "corners swapped",
    "box: [0.1, 0.1, 0.4, 0.5]": "shares of the picture",
    "box: [0, 0, 1, 1]": "shares of the picture",
    "box: [8, 8, 97, 40]": "outside the picture, which is 96x80",
    "box: [8, 8, 40, 81]": "outside the picture",
    "box: [-1, 8, 40, 40]": "outside the picture",
    "box: [8, 8, .inf, 40]": "is no place",
    "points: [[900, 900, 1]]": "outside the picture",
    "points: [[20, 30, 1], [20, 81, 0]]": "outside the picture",
    "points: [[0.5, 0.4, 1]]": "shares of the picture",
    "points: [[20, 30, 7]]": "label that is not 1 (inside) or 0 (outside)",
    "points: [[20, 30, 0.5]]": "label that is not 1",
    "points: [[.nan, 30, 1]]": "is no place",
}


@pytest.mark.parametrize("entry", MISPLACED)
def test_a_place_that_cannot_be_meant_is_one_line(entry, folder, capsys):
    written(folder / "in", f"in0:\n  text: ball\n  {entry}\n")
    line = refused(folder, capsys, "sam3", baseline={"prompt_kind": entry.split(":")[0]}, vary=None, metrics=["iou"])
    assert MISPLACED[entry] in line and "'in0'" in line and "prompts.yaml" in line


@pytest.mark.parametrize(
    "field, value",
    [("box", [0, 0, 96, 80]), ("box", [8, 8, 40.5, 40]), ("points", [[0, 0, 1]]), ("points", [[96, 80, 0]])],
)
def test_a_place_at_the_edge_is_one(field, value):
    assert misplaced(field, value, (WIDTH, HEIGHT)) == ""


def test_places_are_those_of_the_upright_picture(folder, capsys):
    tags = Image.Exif()
    tags[0x0112] = 6
    helpers.picture((80, 96)).save(folder / "in" / "in0.png", exif=tags)  # 96 wide as it is shown
    written(folder / "in", {f"in{index}": {"box": [8, 8, 95, 40]} for index in range(2)})
    baseline = {"prompt_kind": "box"}
    assert planned(folder, capsys, "sam3", baseline=baseline, vary=None, metrics=["iou"])[0] == 0


# ---- files and names


def copied(source, *names):
    for name in names:
        for part in ("", ".mask"):
            (source / f"{name}{part}.png").write_bytes((source / f"in0{part}.png").read_bytes())


def as_jpeg(source):
    helpers.picture((96, 80)).save(source / "in0.jpg")


def two_masks(source):
    helpers.mask((96, 80)).save(source / "in0.mask.bmp")


def in_both_forms(source):
    copied(source, *(unicodedata.normalize(form, "café") for form in ("NFC", "NFD")))


def mask_alone(source):
    (source / "in1.png").unlink()


def mask_of_another_name(source):
    (source / "in1.mask.png").rename(source / "on1.mask.png")


FILES = {
    "two pictures of one name": (as_jpeg, "in0.jpg and in0.png are both the image of 'in0'"),
    "two masks of one picture": (two_masks, "in0.mask.bmp and in0.mask.png are both the mask of 'in0'"),
    "one name in two spellings": (in_both_forms, r"'cafe\u0301.mask.png' and 'caf\xe9.mask.png' are both the mask"),
    "a mask without its picture": (mask_alone, "'in1' has in1.mask.png, and no picture"),
    "a mask of another name": (mask_of_another_name, "'on1' has on1.mask.png, and no picture. Did you mean 'in1'?"),
}


@pytest.mark.parametrize("what", FILES)
def test_files_of_which_one_would_not_be_used(what, folder, capsys):
    change, words = FILES[what]
    change(folder / "in")
    assert words in refused(folder, capsys)


def test_hidden_files_are_passed_over(folder, capsys):
    (folder / "in" / "._in0.png").write_bytes(b"\0\5\x16\7" + bytes(90))
    (folder / "in" / ".DS_Store").write_bytes(b"\0")
    (folder / "in" / ".hidden.png").write_bytes(b"")
    assert planned(folder, capsys)[0] == 0


@pytest.mark.parametrize("on_disk, in_yaml", [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_a_name_meets_its_prompt_in_any_spelling(on_disk, in_yaml, folder, capsys):
    copied(folder / "in", unicodedata.normalize(on_disk, "café"))
    written(folder / "in", {unicodedata.normalize(in_yaml, "café"): {"prompt": "red bricks"}, "in0": "a", "in1": "b"})
    chosen = {"source": str(folder / "in"), "names": [unicodedata.normalize("NFD", "café")]}
    found = inputs.find(chosen, registry.pipeline("sdxl-inpaint"), "here")
    assert found["items"]["café"]["prompt"] == "red bricks"
    assert inputs.read(found)[0].image and set(inputs.answers(found, "café")) == {"image", "mask"}
    assert planned(folder, capsys, "sdxl-inpaint")[0] == 0


def test_a_kind_in_capitals_is_that_kind(folder, capsys):
    (folder / "in" / "in0.mask.png").rename(folder / "in" / "in0.Mask.PNG")
    code, out, _ = planned(folder, capsys)
    assert code == 0 and "2 inputs" in out


PROMPTS = {
    "a prompt for no picture": (
        {"in0": "a", "in1": "b", "im1": "c"},
        "'im1' has prompt in prompts.yaml, and no picture",
    ),
    "one name in two spellings": ({"café": "a", "cafe\u0301": "b"}, "is there twice, in two spellings"),
    "an unknown key": ({"in0": {"negative_prompt": "a"}}, "must be a text or a mapping of prompt, caption"),
}


@pytest.mark.parametrize("what", PROMPTS)
def test_prompts_that_nothing_uses(what, folder, capsys):
    texts, words = PROMPTS[what]
    written(folder / "in", texts)
    assert words in refused(folder, capsys, "sdxl-inpaint")


ASKED = [({"in0": "ball"}, "text"), ({"in0": {"caption": "ball"}}, "text"), ({"in0": {"text": "ball"}}, "box")]


@pytest.mark.parametrize("texts, kind", ASKED)
def test_a_prompt_that_is_asked_for_and_not_there(texts, kind, folder, capsys):
    written(folder / "in", texts)
    line = refused(folder, capsys, "sam3", baseline={"prompt_kind": kind}, vary=None, metrics=["iou"])
    assert f"'in0' has no {kind}: add it to prompts.yaml" in line


@pytest.mark.parametrize("name", ["prompts.yml", "Prompts.yaml"])
def test_prompts_by_a_name_that_is_not_read(name, folder, capsys):
    written(folder / "in", {"in0": "ball"}, name)
    assert f"{name} is not read: name it prompts.yaml" in refused(folder, capsys, "sdxl-inpaint")


def test_captions_without_pictures_are_inputs_of_their_own(folder, capsys):
    written(folder / "in", {"in0": "a", "in1": "b", "sea": {"caption": "a calm sea"}})
    for name, count in (("flux-schnell", 3), ("sdxl-inpaint", 2)):  # the caption is not for the second
        baseline = {"steps": 1, "resolution": 64}
        code, out, err = planned(folder, capsys, name, baseline=baseline, vary=None)
        assert code == 0 and f"{count} inputs" in out, (out, err)


# ---- what is there twice

TWICE = {
    "seeds": ({"protocol": {"seeds": [1, 1, 1]}}, "seeds: 1 is there twice"),
    "an axis": ({"vary": {"steps": [4, 2, 4]}}, "vary: steps: 4 is there twice"),
    "an axis, written in two ways": ({"vary": {"guidance": [2, 2.0]}}, "vary: guidance: 2.0 is there twice"),
    "trials": ({"vary": None, "trials": [{"steps": 2}, {"steps": 2}]}, "is there twice"),
    "trials, written in two ways": (
        {"vary": None, "trials": [{"fused_qkv": "no"}, {"fused_qkv": False, "label": "b"}]}, "is there twice",
    ),
    "labels": (
        {"vary": None, "trials": [{"steps": 2, "label": "a"}, {"steps": 3, "label": "a"}]}, "'a' is there twice",
    ),
    "presets": ({"vary": None, "presets": ["BALANCED", "BALANCED"]}, "presets: 'BALANCED' is there twice"),
    "metrics": ({"metrics": ["psnr", "psnr"]}, "metrics: 'psnr' is there twice"),
}  # fmt: skip


@pytest.mark.parametrize("what", TWICE)
def test_what_is_there_twice_is_one_line(what, folder, capsys):
    changes, words = TWICE[what]
    assert words in refused(folder, capsys, **changes)


def test_a_trial_that_is_another_one_already_is_a_remark(folder, capsys):
    trials = [{**tiny()["baseline"], "label": "a"}, {"steps": 3, "label": "b"}]
    _, out, _ = planned(folder, capsys, vary=None, trials=trials)
    assert "a has the settings of baseline: one row is both" in out and "b has" not in out
    sam3 = {"baseline": {}, "vary": None, "presets": ["BALANCED", "ULTRA_FAST"], "metrics": ["iou"]}
    written(folder / "in", {f"in{index}": {"text": "ball"} for index in range(2)})
    assert "ULTRA_FAST has the settings of BALANCED: one row is both" in planned(folder, capsys, "sam3", **sam3)[1]


@pytest.mark.parametrize(
    "key, value", [("objectclaer", {"steps": 4}), ("inherit", "BALANCED"), ("guidance", 1.0), ("negative_prompt", "x")]
)
def test_a_key_that_no_preset_has(key, value, folder, capsys, monkeypatch):
    (folder / "params").mkdir()
    (folder / "notebooks").mkdir()
    written(folder / "params", {"MINE": {"objectclear": {"steps": 4}, key: value}}, "presets.yaml")
    monkeypatch.chdir(folder)
    line = refused(folder, capsys, vary=None, presets=["MINE"])
    assert f"presets.yaml: MINE: unknown key '{key}'" in line


@pytest.mark.parametrize("source", ["bundled", "random", str(paths.BUNDLED / "objectclear")])
def test_a_revision_of_what_has_none(source, folder, capsys):
    line = refused(folder, capsys, model={"source": source, "revision": "v2"})
    assert "model: revision: it is for weights from the hub" in line and source in line


def test_so_is_a_name(folder, capsys):
    chosen = {"source": str(folder / "in"), "names": ["in0", "in0"]}
    with pytest.raises(BadInput, match="names: 'in0' is there twice"):
        inputs.find(chosen, registry.pipeline("objectclear"), "here")


# ---- words that no tokenizer reads

# by pipeline: the field, a length (repeats of a word) that is read whole, one that is not, and who cuts it
LIMITS = {
    "sdxl-inpaint": ("prompt", 75, 76, "prompt of in0 cut at 77 of 78 tokens: '... red' (tokenizer and tokenizer_2)"),
    "flux-schnell": ("caption", 75, 76, "caption of in0 cut at 77 of 78 tokens: '... red' (tokenizer)"),
    "z-image-turbo": ("caption", 490, 520, "caption of in0 cut at 512 of "),
}


@pytest.mark.parametrize("name", LIMITS)
def test_words_beyond_the_limit_are_a_remark_of_the_plan(name, folder, capsys):
    field, whole, cut, words = LIMITS[name]
    for length in (whole, cut):
        written(folder / "in", {f"in{index}": {field: " ".join(["red"] * length)} for index in range(2)})
        code, out, _ = planned(folder, capsys, name, baseline={"steps": 1, "resolution": 64}, vary=None)
        assert code == 0 and (words in out) == (length == cut), out


def test_flux_reads_more_with_its_second_tokenizer(folder, capsys):
    written(folder / "in", {f"in{index}": {"caption": " ".join(["red"] * 300)} for index in range(2)})
    _, out, _ = planned(folder, capsys, "flux-schnell", baseline={"steps": 1, "resolution": 64}, vary=None)
    assert "cut at 77 of 302 tokens" in out and "cut at 256 of 301 tokens" in out and "(tokenizer_2)" in out


def test_a_text_that_sam3_cannot_take_is_one_line(folder, capsys):
    written(folder / "in", {"in0": {"text": " ".join(["red"] * 31), "box": [8, 8, 40, 40]}, "in1": {"text": "ball"}})
    line = refused(folder, capsys, "sam3", baseline={}, vary=None, metrics=["iou"])
    assert "text of in0 has 33 tokens, and the model reads 32" in line
    one = {"source": str(folder / "in"), "names": ["in0"]}
    content = tiny(pipeline="sam3", inputs=one, baseline={"prompt_kind": "box"}, vary=None, metrics=["iou"])
    path = helpers.file(folder / "box.yaml", content)
    assert helpers.command(capsys, "plan", path)[0] == 0  # nobody reads it


def test_a_text_of_other_letters_is_counted_by_its_tokens():
    """Letters of several bytes may be several tokens, and many words need not be many."""
    tokens = tokenizers.of_model({"source": "bundled"}, registry.pipeline("sdxl-inpaint"))
    reader = Reader("prompt", "tokenizer", 77)
    for text, cut in (("砖" * 60, True), ("a " * 70, False), ("", False), (None, False)):
        assert bool(too_long([reader], {"in0": {"prompt": text}}, [{}], tokens)) == cut


def test_a_model_without_such_a_file_says_nothing(tmp_path):
    for model in ({"source": "folder", "path": str(tmp_path)}, {"source": "hub", "id": "a/b", "revision": "main"}):
        tokens = tokenizers.of_model(model, registry.pipeline("sdxl-inpaint"))
        assert too_long(registry.pipeline("sdxl-inpaint").readers, {"in0": {"prompt": LONG}}, [{}], tokens) == []


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One trial with a prompt whose end nobody reads, and its study."""
    folder = tmp_path_factory.mktemp("long")
    helpers.inputs(folder / "in")
    written(folder / "in", {"in0": {"prompt": LONG + ENDS}})
    content = tiny(pipeline="sdxl-inpaint", inputs=str(folder / "in"), vary=None, metrics=[])
    helpers.run(content, folder / "results")
    return folder, content


def test_they_are_a_remark_of_the_record_and_of_its_table(measured, capsys):
    folder, content = measured
    (one,) = on_disk(folder / "results").values()
    (remark,) = one["environment"]["remarks"]
    assert one["status"] == "ok" and remark == (
        "prompt of in0 cut at 77 of 152 tokens: '... black dots orange and brown checks and black dots ... "
        "and brown checks and black dots nothing but sand' (tokenizer and tokenizer_2)"
    )
    assert f"Not all that was given is read: {remark}." in footnotes.caption(
        findings.read(helpers.study(content), folder / "results")
    )
    assert [remark] == list(helpers.study(content).remarks)  # the same words without the weights
    path = helpers.file(folder / "study.yaml", content)
    shown = helpers.command(capsys, "run", path, "--results", folder / "results")[1]
    assert remark in " ".join(shown.split())


def test_a_picture_below_the_resolution_is_a_remark(folder, capsys):
    for kind in ("", ".mask"):
        Image.open(folder / "in" / f"in0{kind}.png").resize((72, 96)).save(folder / "in" / f"small{kind}.png")
    _, out, _ = planned(folder, capsys, vary={"resolution": [64, 80, 96]})
    assert "resolution 64" not in out
    assert "resolution 80 is above the short side of small (72): it is not enlarged\n" in out
    assert "96 is above the short side of in0 (80), in1 (80), small (72): it is not enlarged, and the trials" in out


def test_a_prompt_for_a_pipeline_that_reads_none_is_a_remark(folder, capsys):
    assert "objectclear reads no prompts: prompts.yaml is not used" in planned(folder, capsys)[1]
    (folder / "in" / "prompts.yaml").unlink()
    assert "prompts" not in planned(folder, capsys)[1]
    assert helpers.study(tiny(inputs="bundled")).remarks == ()
