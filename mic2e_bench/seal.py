"""The hash of a JSON file's content, which the file ends with: who changes the one without the other is found out.

It is the SHA-256 of the content as ``files.as_json`` writes it, without the key itself. No signature: it guards against
accidents and quiet edits, and against nobody who makes the hash anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import documents, files

KEY, MARK = "content_sha256", "sealed"  # the mark is a part of the content: a file that has lost its hash still has it


def digest(content: Mapping[str, Any]) -> str:
    """The hash of a content, whatever hash it states."""
    return hashlib.sha256(files.as_json({name: value for name, value in content.items() if name != KEY})).hexdigest()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with the mark, and its hash as the last key."""
    marked = {**{name: value for name, value in content.items() if name != KEY}, MARK: True}
    return {**marked, KEY: digest(marked)}


def is_whole(content: Mapping[str, Any], written: bytes) -> bool:
    """Whether the content of a file, with its bytes, is what its hash is of.

    What states no hash and has no mark, older files, is taken. The bytes of a file as it was written are hashed as they
    are: writing the content anew takes longer than reading.
    """
    if KEY not in content:
        return MARK not in content
    stated = content[KEY]
    end = f',\n "{KEY}": "{stated}"\n}}\n'.encode(errors="replace")
    if written.endswith(end) and hashlib.sha256(written[: -len(end)] + b"\n}\n").hexdigest() == stated:
        return True
    return digest(content) == stated


def read(path: Path) -> dict[str, Any]:
    """The content of a ``sealed`` file; nothing where there is none, or it is not as it was written."""
    try:
        written = files.read_bytes(path, files.MOST_JSON)
        content = documents.json_value(written)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and MARK in content and is_whole(content, written) else {}
