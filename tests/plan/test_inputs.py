"""Pictures, masks and prompts that a person gives."""

import helpers
import pytest
from helpers import tiny


def refused(tmp_path, capsys, pipeline="objectclear"):
    content = tiny(inputs=str(tmp_path / "in"), pipeline=pipeline, study=None, baseline=None, vary=None)
    path = helpers.file(tmp_path / "study.yaml", content)
    line = helpers.refusal(capsys, "run", path, "--results", tmp_path / "results")
    assert str(path) in line and not (tmp_path / "results").exists()
    return line


def test_an_unreadable_image(tmp_path, capsys):
    helpers.inputs(tmp_path / "in")
    (tmp_path / "in" / "in0.png").write_text("no picture")
    assert "in0.png is not a readable image" in refused(tmp_path, capsys)


def test_a_truncated_image(tmp_path, capsys):
    helpers.inputs(tmp_path / "in", [(300, 300)])
    path = tmp_path / "in" / "in0.png"
    path.write_bytes(path.read_bytes()[:-200])
    assert "in0.png is not a readable image" in refused(tmp_path, capsys)


def test_a_mask_of_another_size(tmp_path, capsys):
    helpers.inputs(tmp_path / "in")
    helpers.mask((80, 96)).save(tmp_path / "in" / "in0.mask.png")
    assert "in0.png is 96x80 but in0.mask.png is 80x96" in refused(tmp_path, capsys)


def test_a_missing_mask(tmp_path, capsys):
    helpers.inputs(tmp_path / "in")
    (tmp_path / "in" / "in0.mask.png").unlink()
    line = refused(tmp_path, capsys)
    assert "objectclear needs a mask" in line and "in0.mask.png" in line


def test_a_missing_prompt(tmp_path, capsys):
    helpers.inputs(tmp_path / "in")
    (tmp_path / "in" / "prompts.yaml").write_text("in0: {text: ball}")
    line = refused(tmp_path, capsys, "sdxl-inpaint")
    assert "needs a prompt for 'in0'" in line and "prompts.yaml" in line


@pytest.mark.parametrize("content", ["in0: [1", "- in0", "in0: {promt: x}", "in0: 5"])
def test_prompts_that_are_none(content, tmp_path, capsys):
    helpers.inputs(tmp_path / "in")
    (tmp_path / "in" / "prompts.yaml").write_text(content)
    assert "prompts.yaml" in refused(tmp_path, capsys, "sdxl-inpaint")


@pytest.mark.parametrize(
    "entry", ["{points: x}", "{points: [[1]]}", "{box: [1, 2]}", "{box: big}", "{text: [1]}", "{text: {}}"]
)
def test_prompts_of_the_wrong_form(entry, tmp_path, capsys):
    helpers.inputs(tmp_path / "in")
    (tmp_path / "in" / "prompts.yaml").write_text(f"in0: {entry}")
    line = refused(tmp_path, capsys, "sam3")
    assert "prompts.yaml" in line and "in0" in line


def test_an_empty_folder(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    assert "nothing to work on" in refused(tmp_path, capsys)
