"""Put a pack together: parts, manifest, checksums and ``unpack.sh`` in one folder, checked before it is there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench import units
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.machine import versions
from mic2e_bench.tools.pack import anonymous, archive, site, tree
from mic2e_bench.tools.pack.archive import Part
from mic2e_bench.tools.pack.target import Target
from mic2e_bench.version import VERSION

MANIFEST, SUMS, UNPACK = "manifest.json", "SHA256SUMS", "unpack.sh"
FORMAT = "mic2e-bench pack 1"
# what a machine without network cannot be given, whatever the limit
NEVER = {
    "onnxruntime-gpu": "its wheel alone (1.31.1) is 244 MiB; `engine: onnxruntime-cuda` is unavailable there",
    "tensorrt, torch-tensorrt": "the index has no wheel of its libraries; `engine: tensorrt` is unavailable there",
    "flash-attn": "the index has no wheels of it, and building one needs a compiler and the source",
    ", ".join(site.NOTEBOOKS): "notebooks and reports are made where the results are read",
}


@dataclass(frozen=True)
class Packed:
    """A pack that was written: its folder, its bytes and its manifest."""

    folder: Path
    size: int
    manifest: dict[str, Any]

    def text(self) -> str:
        """What is in it, what was left out and why, and what to do next."""
        lines = [f"{units.write(part['bytes'], 'B'):>10}  {part['file']}" for part in self.manifest["parts"]]
        lines += [f"left out: {one['what']}: {one['why']}" for one in self.manifest["left_out"]]
        made_for = f"Python {self.manifest['python']}, torch {self.manifest['torch']}, CUDA {self.manifest['cuda']}"
        next_step = f"There: sh {UNPACK} TARGET [PYTHON]"
        return "\n".join([*lines, f"{self.folder}: {units.write(self.size, 'B')} for {made_for}. {next_step}"])


def write(
    to: Path,
    target: Target,
    limit: float | None,
    without: Collection[str] = (),
    tell: Callable[[str], None] | None = None,
) -> Packed:
    """Write the pack of this checkout into the folder ``to``, which is replaced where it is an earlier pack.

    ``limit`` is the most bytes it may have. Raises ``BadInput`` where it would be larger, where ``to`` holds something
    else, or where a package cannot be fetched; then nothing is left behind.
    """
    tell = tell or (lambda said: None)
    root = tree.root()
    _check_folder(to)
    known = [*tree.models(root), tree.TESTS, *(name for name, optional in site.roots(root).items() if optional)]
    if wrong := next((name for name in without if name not in known), None):
        raise unknown("name", wrong, known, "--without")
    with _beside(to) as (made, work):
        commit, time = tree.commit(root)
        tell("fetching the packages that the machine lacks")
        pruned: Counter[str] = Counter()
        packages, brought, expects = _packages(root, target, without, work, pruned)
        parts = archive.share([*tree.parts(root, without, commit), *packages])
        planned = archive.members(parts)
        anonymous.check(planned, root, work)
        tell(f"compressing {len(planned)} parts")
        sizes = archive.write(made, parts, planned, time)
        manifest = {
            "format": FORMAT, "version": VERSION, "commit": commit, "python": target.python, "torch": target.torch,
            "cuda": target.cuda, "parts": [{"file": name, "bytes": size} for name, size in sizes.items()],
            "packages": brought, "expects": expects, "left_out": _left_out(without, pruned),
        }  # fmt: skip
        _finish(made, manifest)
        size = sum(path.stat().st_size for path in made.iterdir())
        if limit is not None and size > limit:
            raise BadInput(_over(size, limit, sizes, parts))
        _put(made, to, work)
    return Packed(to, size, manifest)


def _check_folder(to: Path) -> None:
    if to.exists() and not to.is_dir():
        raise BadInput(f"--to {to}: is a file. Name a folder.")
    if to.is_dir() and any(to.iterdir()):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads((to / MANIFEST).read_text())["format"] == FORMAT:
                return
        raise BadInput(f"--to {to}: is not empty and no earlier pack. Name another folder, or empty it.")


@contextlib.contextmanager
def _beside(to: Path) -> Iterator[tuple[Path, Path]]:
    """A new folder for the pack and one to work in, in the folder that will hold it; both are gone afterwards."""
    work = None
    try:
        whole = to.absolute()
        whole.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{whole.name}-", dir=whole.parent))
        (work / "pack").mkdir()
        yield work / "pack", work
    except OSError as error:
        raise BadInput(f"--to {to}: cannot be written: {error.filename or to}: {error.strerror or error}.") from error
    finally:
        if work:
            shutil.rmtree(work, ignore_errors=True)


def _packages(
    root: Path, target: Target, without: Collection[str], work: Path, pruned: Counter[str]
) -> tuple[list[Part], dict[str, str], list[str]]:
    wanted = {name: optional for name, optional in site.roots(root).items() if name not in without}
    pins = versions.pins((root / versions.FILE).read_text())
    groups = site.lacking(pins, target, wanted)
    parts = []
    for name, held in groups.items():
        folder = work / f"site-{name}"
        site.fetch(held, target, folder, site.uv(root))
        parts.append(site.part(name, folder, target, pruned, wanted.get(name, False)))
    brought = {pin.name: pin.version for held in groups.values() for pin in held}
    return parts, brought, site.expected(pins, target, {*wanted, *brought})


def _left_out(without: Collection[str], pruned: Counter[str]) -> list[dict[str, str]]:
    asked = {name: "as asked by --without" for name in without}
    sizes = {what: f"{units.write(size, 'B')}, not needed there" for what, size in pruned.items()}
    return [{"what": what, "why": why} for what, why in {**NEVER, **sizes, **asked}.items()]


def _finish(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    shutil.copyfile(Path(__file__).with_name(UNPACK), folder / UNPACK)
    (folder / UNPACK).chmod(0o755)
    checked = sorted(folder.iterdir())
    (folder / SUMS).write_text("".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in checked))


def _over(size: int, limit: float, sizes: dict[str, int], parts: Collection[Part]) -> str:
    """What a pack that is too large can leave out, largest first, until it fits."""
    given = {part.optional: sizes[f"{part.name}.tar.xz"] for part in parts if part.optional}
    tips, left = [], size
    for name, saved in sorted(given.items(), key=lambda pair: -pair[1]):
        if left <= limit:
            break
        tips.append(f"--without {name} ({units.write(saved, 'B')})")
        left -= saved
    least = "" if left <= limit else f" Even so it would take {units.write(left, 'B')}: raise the limit."
    said = f"Leave out, largest first: {', '.join(tips)}." if tips else "Nothing can be left out."
    return f"the pack takes {units.write(size, 'B')}, over --limit {units.write(limit, 'B')}. {said}{least}"


def _put(made: Path, to: Path, work: Path) -> None:
    if to.is_dir():
        to.rename(work / "earlier")
    try:
        made.rename(to)
    except BaseException:
        if (work / "earlier").exists():
            (work / "earlier").rename(to)
        raise
