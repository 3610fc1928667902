"""What git tracks stays light: limits of the whole and of a file, and nothing large is stored twice."""

import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALL_BYTES, FILE_BYTES, TWICE_BYTES = 48 << 20, 10 << 20, 16 << 10
LINK = "120000"  # git's mode of a symbolic link


@pytest.fixture(scope="module")
def tracked():
    """Of every tracked file: mode, object, bytes as they lie in the working tree, path."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    listed = subprocess.run(["git", "ls-files", "-s", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = []
    for line in filter(None, listed.stdout.split("\0")):
        about, _, name = line.partition("\t")
        mode, digest, _ = about.split()
        path = ROOT / name
        if path.is_symlink() or path.exists():  # one that was just deleted weighs nothing
            found.append((mode, digest, path.lstat().st_size, name))
    return found


def test_the_tracked_files_stay_light(tracked):
    assert sum(size for _, _, size, _ in tracked) <= ALL_BYTES
    assert [name for _, _, size, name in tracked if size > FILE_BYTES] == []


def test_nothing_large_is_stored_twice(tracked):
    same = defaultdict(list)
    for mode, digest, size, name in tracked:
        if mode != LINK and size > TWICE_BYTES:
            same[digest].append(name)
    assert [names for names in same.values() if len(names) > 1] == []


def test_links_lead_to_tracked_files(tracked):
    """Relative and inside the tree: any clone has what they lead to."""
    files = {name for mode, _, _, name in tracked if mode != LINK}
    for mode, _, _, name in tracked:
        if mode == LINK and (ROOT / name).is_symlink():
            assert not (ROOT / name).readlink().is_absolute()
            assert (ROOT / name).resolve().relative_to(ROOT.resolve()).as_posix() in files
