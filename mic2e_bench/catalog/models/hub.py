"""What the local copy of the hub has: which commit a branch or tag is, and where its files lie. Downloads nothing.

Except ``ask``, which gets the one small file that says what a repository is.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

COMMIT = re.compile(r"[0-9a-f]{40}")


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit hash, which always means the same files."""
    return COMMIT.fullmatch(revision) is not None


def cache() -> Path:
    """The hub's cache folder, as ``huggingface_hub`` finds it."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    found = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(os.path.expanduser(found)))


def commit(id: str, revision: str) -> dict[str, str]:
    """``{"revision": commit, "asked": name}`` where the local copy knows it, else ``{"revision": name}``."""
    if is_commit(revision):
        return {"revision": revision}
    try:
        known = (_repository(id) / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        known = ""
    return {"revision": known, "asked": revision} if is_commit(known) else {"revision": revision}


def snapshot(id: str, revision: str) -> Path | None:
    """The folder with the files of a revision that were downloaded; ``None`` where there is none."""
    folder = _repository(id) / "snapshots" / commit(id, revision)["revision"]
    return folder if os.path.isdir(folder) else None


def ask(id: str, revision: str) -> None:
    """Have the local copy know which commit a revision is, if the hub can be reached: it keeps that by itself."""
    from huggingface_hub import hf_hub_download

    for name in ("model_index.json", "config.json"):
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            hf_hub_download(id, name, revision=revision, cache_dir=cache())
            return


def _repository(id: str) -> Path:
    return cache() / f"models--{id.replace('/', '--')}"
