"""Whether the weight files are in memory already when they are loaded."""

from __future__ import annotations

from pathlib import Path

from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.pipeline import Build, Pipeline, Settings
from mic2e_bench.catalog.toggle import Code, Phase, Seen, Toggle, one_of
from mic2e_bench.machine import pagecache

COLD, WARM = 0.05, 0.95  # shares of the pages in memory


def apply(build: Build, value: str) -> None:
    if value == "as-found":
        return
    files = weight_files(build)
    pagecache.evict(files) if value == "cold" else pagecache.read(files)
    build.notes["page_cache"] = pagecache.resident(files), len(files)


def weight_files(build: Build) -> list[Path]:
    """The weight files that the build will load; none for random weights, or where nothing is downloaded yet."""
    if build.model.get("source") == "random":
        return []
    where, arguments = sources.location(build.model, build.pipeline)
    folder = Path(where) if build.model["source"] != "hub" else _downloaded(where, arguments["revision"])
    return sorted(path.resolve() for path in folder.rglob("*.safetensors")) if folder else []


def _downloaded(where: str, revision: str) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(where, revision=revision, local_files_only=True))
    except OSError:
        return None


def observe(build: Build, value: str) -> Seen:
    """How much of the files the kernel had in memory just before they were loaded (mincore)."""
    if value == "as-found":
        return Seen(value, "left as the machine had it")
    share, count = build.notes["page_cache"]
    if not count:
        return Seen("as-found", "no weight files", reason="there are no weight files on this machine to load from")
    if share is None:
        return Seen("as-found", f"{count} weight files", reason="the kernel does not say what is in its cache")
    seen = "cold" if share <= COLD else "warm" if share >= WARM else "as-found"
    reason = f"{share:.0%} of the pages were in memory: a process has the files mapped, or the file system keeps them"
    return Seen(seen, f"{share:.1%} of {count} weight files in memory before loading (mincore)", reason=reason)


def code(value: str, settings: Settings, pipeline: Pipeline) -> Code:
    return Code(
        lines="" if value == "as-found" else f"# page_cache {value}: the state of the machine's memory, no code"
    )


PAGE_CACHE = Toggle(
    name="page_cache",
    phase=Phase.LOAD,
    values="as-found | warm | cold",
    default="as-found",
    parse=one_of("as-found", "warm", "cold"),
    apply=apply,
    observe=observe,
    cost="none",
    about="cold: the weights come from the disk, as after a restart of the machine; warm: from memory.\n"
    "It decides load_s, and nothing after it.",
    source="docs: Linux, 'posix_fadvise' and 'mincore'",
    tolerance=0.0,
    code=code,
)
