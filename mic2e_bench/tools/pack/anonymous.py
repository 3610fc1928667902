"""Nothing in a pack names the machine that made it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from mic2e_bench.errors import BadInput
from mic2e_bench.tools.pack.archive import Member

SHORT = 4  # a host called "vm" or "gpu" is named by every other file; such a name tells nothing either


def check(planned: dict[str, list[Member]], root: Path, work: Path) -> None:
    """Raise ``BadInput`` naming the first file that has this machine's name or a path of it.

    Of the packages only what the installer writes is looked at for the name and the home folder: the rest came from an
    index, as the lock's hashes say, and other people's home folders are in there.
    """
    paths = {"the project's folder": root, "a temporary folder": work}
    strict = {what: _path(path) for what, path in paths.items()}
    ours = dict(strict)
    home = Path(os.path.expanduser("~"))
    if home.is_absolute() and home != Path(home.anchor):
        ours["the home folder"] = _path(home)
    if len(host := platform.node()) > SHORT and host != "localhost":
        ours["the host's name"] = re.compile(rb"(?<![\w-])" + re.escape(host.encode()) + rb"(?![\w-])")
    for held in planned.values():
        for member in held:
            foreign = member.name.startswith("site/") and ".dist-info/" not in member.name
            _one(member, strict if foreign else ours)


def _path(path: Path) -> re.Pattern[bytes]:
    return re.compile(re.escape(str(path).encode()) + rb"(?![\w.-])")


def _one(member: Member, names: dict[str, re.Pattern[bytes]]) -> None:
    if member.link.startswith("/"):
        raise BadInput(f"pack: {member.name} is an absolute link. Make it a relative one.")
    for what, pattern in names.items():
        if pattern.search(member.content) or pattern.search(member.name.encode()):
            raise BadInput(f"pack: {member.name} names this machine ({what}). Take that out of it.")
