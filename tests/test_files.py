"""Files that people give: one line for whatever is wrong with them, with the file's name, the line and what to do."""

import os

import pytest

from mic2e_bench import files
from mic2e_bench.errors import BadInput


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: 1\nb: [1\nc: 2\n", "line 3: not valid YAML: expected ',' or ']', but got ':' while parsing a flow"),
        (b"a: 1\nb: c: 2\n", "line 2: not valid YAML: mapping values are not allowed here."),
        (b"a: *b\n", "line 1: not valid YAML: found undefined alias 'b'."),
        (
            b"a: !!python/name:os.system x\n",
            "line 1: not valid YAML: the tag !!python/name:os.system is for values that no file here has",
        ),
        (b"a: 1\n---\nb: 2\n", "it holds 2 documents, and one is wanted: take out the lines ---."),
        (b"a: \x07\n", "not valid YAML: unacceptable character"),
        (b"[" * 5000, "not valid YAML: more than 50 lists or mappings in one another"),
        (b"a: 1\nb: \xff\n", "line 2: cannot be read: not UTF-8. Save it as UTF-8 text."),
        (None, "cannot be read: no such file. Look elsewhere."),
    ],
)
def test_what_is_no_yaml_is_one_line(content, says, tmp_path):
    path = tmp_path / "given.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as refused:
        files.read_yaml(path, "asked", "Look elsewhere.")
    line = str(refused.value)
    assert line.startswith(f"asked: {path}") and says in line and "\n" not in line


def test_a_folder_and_a_file_behind_a_file_are_one_line_too(tmp_path):
    (tmp_path / "file").write_text("")
    for path, says in ((tmp_path, "Is a directory"), (tmp_path / "file" / "below", "Not a directory")):
        with pytest.raises(BadInput, match=rf"^{path}: cannot be read: {says}\.$"):
            files.read_text(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_one_line(tmp_path):
    (tmp_path / "closed").touch(mode=0)
    with pytest.raises(BadInput, match=r"closed: cannot be read: Permission denied\."):
        files.read_text(tmp_path / "closed")


def test_documents_and_values(tmp_path):
    path = tmp_path / "several.yaml"
    path.write_text("\ufeffa: ä\n---\n---\n- 1\n", encoding="utf-8")
    assert files.read_documents(path) == [{"a": "ä"}, None, [1]]
    path.write_text("")
    assert files.read_yaml(path) is None and files.read_documents(path) == []
    assert files.yaml_value("[1, x]", "--set") == [1, "x"]
    assert files.yaml_value("2026-13-01", "--set") == "2026-13-01"


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    files.write_whole(path, b"one")
    files.write_whole(path, b"two")
    assert path.read_bytes() == b"two" and [*path.parent.iterdir()] == [path] and path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(files.CannotWrite, match=r"^cannot write .*below: File exists\. Give a folder"):
        files.write_whole(path / "below", b"")
