"""The commits of a git checkout, each as a folder that Python imports from; the checkout itself is not touched.

A commit is taken from a clone that shares the checkout's objects, in the working folder: nothing is registered in the
checkout, so nothing is left in it however this ends.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

from mic2e_bench.errors import BadInput
from mic2e_bench.tools.bisect.environments import Uv

MOST = 10_000  # commits between GOOD and BAD


def git(repo: Path, *words: str) -> str:
    """What git says. Raises ``BadInput`` where it is not there, ``CalledProcessError`` where it refuses."""
    try:
        ended = subprocess.run(
            ["git", "-C", str(repo), *words], capture_output=True, text=True, errors="replace", check=True
        )
    except FileNotFoundError:
        raise BadInput("bisect --commit needs git, which is not installed here.") from None
    return ended.stdout.strip()


def between(repo: Path, good: str, bad: str) -> tuple[str, list[str]]:
    """The hash of GOOD, and those after it up to BAD along first parents, oldest first. Raises ``BadInput``."""
    try:
        git(repo, "rev-parse", "--git-dir")
    except (subprocess.CalledProcessError, OSError):
        raise BadInput(f"bisect: {repo} is no git checkout. Give one: --repo PATH.") from None
    first, last = (_commit(repo, revision) for revision in (good, bad))
    if first == last:
        raise BadInput(f"bisect: GOOD and BAD are the same commit, {first[:12]}: nothing changed.")
    with contextlib.suppress(subprocess.CalledProcessError):
        git(repo, "merge-base", "--is-ancestor", first, last)
        found = git(repo, "rev-list", "--first-parent", "--reverse", f"{first}..{last}").split()
        if len(found) <= MOST:
            return first, found
        raise BadInput(f"bisect: {len(found):,} commits lie between GOOD and BAD; the most is {MOST:,}.")
    raise BadInput(f"bisect: GOOD ({good}) is no ancestor of BAD ({bad}): there is no way from one to the other.")


def _commit(repo: Path, revision: str) -> str:
    try:
        return git(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except subprocess.CalledProcessError:
        raise BadInput(f"bisect: {repo} has no commit '{revision}'.") from None


def titled(repo: Path, commit: str) -> str:
    """The short hash, and the first line of the message."""
    return git(repo, "log", "-1", "--format=%h %s", commit)


def tree(repo: Path, commit: str, folder: Path, has_history: bool) -> Path:
    """A commit's files in a folder; what lies there is replaced. Without its history the file COMMIT names it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        git(repo, "clone", "-q", "--shared", "--no-checkout", ".", str(folder))
        git(folder, "checkout", "-q", "--detach", commit)
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        raise BadInput(f"bisect: commit {commit[:12]} cannot be taken from {repo}: {said}") from None
    if not has_history:
        shutil.rmtree(folder / ".git")
        (folder / "COMMIT").write_text(f"{commit[:12]}\n")
    return folder


def built(repo: Path, commit: str, folder: Path, uv: Uv) -> Path:
    """A commit built and installed, without what it needs, into a folder. Raises ``BadInput``.

    Where its build system cannot be fetched, it is built with what is installed here.
    """
    source = tree(repo, commit, folder.with_name(f"{folder.name}.source"), has_history=True)
    shutil.rmtree(folder, ignore_errors=True)
    words = ("pip", "install", "--no-deps", "--python", sys.executable, "--target", str(folder), str(source))
    try:
        if uv.run(*words).returncode:
            uv.run(*words, "--no-build-isolation", check=f"commit {commit[:12]} cannot be built")
    finally:
        shutil.rmtree(source, ignore_errors=True)
    return folder
