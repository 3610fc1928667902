"""What must move together: packages of which one of today's versions does not work with another's of before.

Both environments are there, so what each package needs is read from them. Two packages are joined where one's version
of a side has a requirement that the other's version of that side meets, and that of the other side does not. What
this does not see (an extra, say) uv's own check of the mixed environment does: such a mix is not measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mic2e_bench.tools.bisect.lock import Move

Installed = Mapping[str, tuple[str, Sequence[str]]]  # by name: the version, and Requires-Dist


def installed(site: Path) -> dict[str, tuple[str, Sequence[str]]]:
    """What lies in a folder of packages."""
    every = metadata.distributions(path=[str(site)])
    return {canonicalize_name(one.metadata["Name"]): (one.version, one.requires or []) for one in every}


def of(moves: Sequence[Move], good: Installed, bad: Installed) -> tuple[list[tuple[str, ...]], list[str]]:
    """The changed packages in groups, in order, and why those of a group move together, a line each."""
    names = [move.name for move in moves]
    groups = {name: {name} for name in names}
    reasons = []
    for name, needed, said in _tied(names, good, bad):
        if groups[name] is not groups[needed]:
            joined = groups[name] | groups[needed]
            groups.update(dict.fromkeys(joined, joined))
            reasons.append(f"{name} and {needed} move together: {said}")
    distinct = {id(group): tuple(sorted(group)) for group in groups.values()}
    return sorted(distinct.values()), reasons


def _tied(names: Sequence[str], good: Installed, bad: Installed) -> Iterator[tuple[str, str, str]]:
    for name in names:
        for own, other in ((good, bad), (bad, good)):
            version, requires = own.get(name, ("", []))
            for asked in filter(None, map(_applying, requires)):
                needed = canonicalize_name(asked.name)
                if needed != name and needed in names and _meets(own, asked) and not _meets(other, asked):
                    yield name, needed, f"{name} {version} needs {asked.name}{asked.specifier}"


def _applying(text: str) -> Requirement | None:
    try:
        asked = Requirement(text)
    except InvalidRequirement:
        return None
    return asked if asked.marker is None or asked.marker.evaluate({"extra": ""}) else None


def _meets(side: Installed, asked: Requirement) -> bool:
    version, _ = side.get(canonicalize_name(asked.name), ("", []))
    return bool(version) and asked.specifier.contains(version, prereleases=True)
