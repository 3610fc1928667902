"""The parts of a pack: what is in each, equal files once, and nothing of the machine that writes them."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mic2e_bench.errors import BadInput

BEST = 9 | lzma.PRESET_EXTREME
LARGEST = 64 << 20  # of xz's dictionary; it takes eleven times that in memory


@dataclass
class Part:
    """One archive. ``files``: the name in the archive to a file, or to its content. ``optional``: the name by which
    ``--without`` leaves it out. ``weights``: it is mostly numbers of four bytes, which xz can be told.
    """

    name: str
    files: dict[str, Path | bytes] = field(default_factory=dict)
    optional: str | None = None
    weights: bool = False


@dataclass(frozen=True)
class Member:
    """A file (``content``), a hard link (``same_as``: an archive name) or a symbolic link (``link``: as written)."""

    name: str
    content: bytes = b""
    same_as: str = ""
    link: str = ""
    executable: bool = False


def share(parts: Iterable[Part]) -> list[Part]:
    """The same parts, after one with what several optional parts have in common: leaving one of them out then saves
    what its own part takes.
    """
    parts = list(parts)
    holders = defaultdict(list)
    for part in parts:
        if part.optional:
            for name, source in part.files.items():
                holders[_content(source, name)].append((part, name))
    common = Part("shared", weights=True)
    for held in holders.values():
        if len({part.name for part, _ in held}) > 1:
            # a link needs its target, so what is no link goes
            part, name = next(((p, n) for p, n in held if not _is_link(p.files[n])), held[0])
            common.files[name] = part.files.pop(name)
    return [common, *parts] if common.files else parts


def members(parts: Iterable[Part]) -> dict[str, list[Member]]:
    """What each part holds, by its name. A link to a packed file stays one; any other link becomes its content; of
    equal files the first is stored, the others are hard links to it. Raises ``BadInput`` for a link to nothing.
    """
    parts = list(parts)
    places = {
        source.absolute(): name
        for part in parts
        for name, source in part.files.items()
        if isinstance(source, Path) and not source.is_symlink()
    }
    seen: dict[tuple[bytes, bool], str] = {}
    found = {}
    for part in parts:
        found[part.name] = [_member(name, source, places, seen) for name, source in sorted(part.files.items())]
    return found


def _member(name: str, source: Path | bytes, places: dict[Path, str], seen: dict[tuple[bytes, bool], str]) -> Member:
    if _is_link(source) and source.resolve() in places:
        return Member(name, link=os.path.relpath(places[source.resolve()], os.path.dirname(name)))
    content = _content(source, name)
    executable = isinstance(source, Path) and bool(source.stat().st_mode & 0o100)
    first = seen.setdefault((content, executable), name)
    if first != name and content:
        return Member(name, same_as=first, executable=executable)
    return Member(name, content, executable=executable)


def _is_link(source: Path | bytes) -> bool:
    return isinstance(source, Path) and source.is_symlink()


def _content(source: Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise BadInput(f"pack: {name} cannot be read: {error.strerror}. Is it a link to what is not there?") from error


def write(folder: Path, parts: Iterable[Part], planned: dict[str, list[Member]], mtime: int) -> dict[str, int]:
    """Write ``NAME.tar.xz`` for each part, several at a time; returns their bytes by file name."""

    def one(part: Part) -> tuple[str, int]:
        path = folder / f"{part.name}.tar.xz"
        path.write_bytes(compress(tar(planned[part.name], mtime), part.weights))
        return path.name, path.stat().st_size

    with ThreadPoolExecutor(min(4, len(os.sched_getaffinity(0)))) as pool:
        return dict(pool.map(one, parts))


def compress(content: bytes, weights: bool = False) -> bytes:
    """As ``xz -9e``, with a dictionary no larger than the content; knowing their size makes ``weights`` 5 % smaller."""
    size = max(4096, min(LARGEST, len(content)))
    best = {"id": lzma.FILTER_LZMA2, "preset": BEST, "dict_size": size}
    best |= {"lc": 1, "lp": 2} if weights else {}
    return lzma.compress(content, filters=[best])


def tar(held: Iterable[Member], mtime: int) -> bytes:
    """The same bytes for the same members, whoever writes them: no owner, one time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        for member in held:
            info = tarfile.TarInfo(member.name)
            info.mtime, info.mode, info.size = mtime, 0o755 if member.executable else 0o644, len(member.content)
            if member.link or member.same_as:
                info.type = tarfile.SYMTYPE if member.link else tarfile.LNKTYPE
                info.linkname = member.link or member.same_as
            made.addfile(info, io.BytesIO(member.content))
    return buffer.getvalue()
