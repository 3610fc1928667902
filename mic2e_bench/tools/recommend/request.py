"""The question as people put it, from the command line and from the notebook: studies and limits as texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mic2e_bench import units
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.records.comparable import VRAM
from mic2e_bench.tools.recommend import candidates, named, recommend
from mic2e_bench.tools.recommend.candidates import Candidates
from mic2e_bench.tools.recommend.recommend import LATENCY, MEMORY, QUALITY, Recommendation

PREFER = {"latency": LATENCY, "vram": MEMORY, "memory": MEMORY, "quality": QUALITY}


def ask(
    studies: Sequence[str],
    results: Path,
    *,
    max_latency: str | None = None,
    max_vram: str | None = None,
    max_memory: str | None = None,
    min_quality: str | None = None,
    prefer: str | None = None,
    metric: str | None = None,
    with_disturbed: bool = False,
) -> tuple[Recommendation, Candidates]:
    """The recommendation among the records of ``studies``, and what it was made among. Raises ``BadInput``."""
    if max_vram is not None and max_memory is not None:
        raise BadInput("--max-vram and --max-memory: give one; on a GPU they are the same memory.")
    if prefer is not None and str(prefer) not in PREFER:
        raise unknown("preference", prefer, PREFER, "--prefer")
    asked = {}
    if max_latency is not None:
        asked[LATENCY] = units.seconds(max_latency, "--max-latency")
    for text, where in ((max_vram, "--max-vram"), (max_memory, "--max-memory")):
        if text is not None:
            asked[MEMORY] = units.size(text, where)
    if min_quality is not None:
        asked[QUALITY] = units.percent(min_quality, "--min-quality")
    among = candidates.read(studies, results, metric, with_disturbed)
    if (max_vram or prefer == "vram") and among.memory != VRAM:
        raise BadInput("these records are of a CPU, without VRAM: ask for --max-memory or --prefer memory (peak RSS).")
    if (QUALITY in asked or prefer == "quality") and not among.metric:
        raise BadInput("no quality was scored for these records: run the study with metrics: [lpips].")
    points = named.with_presets(recommend.points(among.rows, among.memory, among.metric, among.records))
    return recommend.recommend(points, asked, PREFER.get(prefer or "")), among
