"""What the searches' benchmark says: a table of each landscape, and which limits were missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.recommend.pareto import nondominated
from mic2e_bench.workshop.proof.landscape_file import Landscape
from mic2e_bench.workshop.proof.replay import LADDER, Replay

SHARES = (0.03, 0.1)  # of the seconds that the whole grid takes
MEDIAN, WORST, RANDOM = 0.99, 0.97, 0.85  # the limits at the last of these shares


@dataclass(frozen=True)
class Played:
    """One search: the share of the true front's volume that it names, what it tried, and its own seconds."""

    share: float
    tried: int
    took_s: float


Found = Mapping[str, Mapping[float, list[Played]]]  # by the rival's name and the share of the time


def grid_s(landscape: Landscape) -> float:
    """Seconds that the whole grid takes under the full protocol, each build once."""
    points = [point for point, value in landscape.space.values.items() if value is not None]
    return Replay(landscape, 0).expected(points, len(LADDER) - 1)


def report(landscape: Landscape, found: Found) -> str:
    """Markdown: medians over the seeds, the worst and the best in brackets."""
    front, size = int(nondominated(landscape.costs).sum()), len(landscape.space.values)
    rows = [[name, *(_cell(played.get(share)) for share in SHARES), _asking(played), _seeds(played)]
            for name, played in found.items()]  # fmt: skip
    here, hours = landscape.about["environment"], grid_s(landscape) / 3600
    measured = landscape.about.get("measured")
    how = "measured whole" if measured is None else _model(landscape, measured)
    caption = (
        "Share of the true front's hypervolume that a search names (its front, and what ties with it) in so much of "
        f"the grid's {hours:.1f} hours of measuring, which are counted and not waited for: median of the seeds [worst, "
        f"best]; tried: points looked at. {landscape.name}: {size} points, {front} of them on the true front; {how}. "
        f"{landscape.about['stand_ins']}; measured on {here['device']}, {here['finished'][:10]}. tune: looks of one "
        "input first, builds shared, a forecast; the others, Optuna's samplers: one point at a time in a build of its "
        f"own, {LADDER[-1][0]} inputs and {LADDER[-1][1]} repeats. The box goes from the front's best value of each "
        "quantity to 10 % of its range beyond its worst, a quality of 0 % at most."
    )
    header = ["search", *(f"{share:.0%} of the time" for share in SHARES), "its own seconds", "seeds"]
    return Table(header, rows, caption).markdown()


def _model(landscape: Landscape, measured: int) -> str:
    misses = landscape.about["misses"]
    said = ", ".join(f"{name} by {np.median(np.abs(np.expm1(of))):.1%}" for name, of in misses.items())
    return (
        f"{measured} of them were measured, every value is that of a model of those, which misses them in the median "
        f"({said} of the value, or of the distance from 100 %); looks draw their noise from that"
    )


def _cell(played: list[Played] | None) -> str:
    if not played:
        return "-"
    shares = [one.share for one in played]
    tried = round(float(np.median([one.tried for one in played])))
    return f"{np.median(shares):.1%} [{min(shares):.1%}, {max(shares):.1%}] ({tried} tried)"


def _asking(played: dict[float, list[Played]]) -> str:
    last = played[max(played)]
    return f"{np.median([one.took_s for one in last]):.0f}"


def _seeds(played: dict[float, list[Played]]) -> str:
    return str(len(played[max(played)]))


def missed(landscape: Landscape, found: Found) -> list[str]:
    """Which limits a landscape of a real choice misses."""
    if "measured" not in landscape.about:
        return []
    ours, random = ([one.share for one in found[name][SHARES[-1]]] for name in ("tune", "random search"))
    checks = {
        f"the median search names {MEDIAN:.0%}": np.median(ours) >= MEDIAN,
        f"the worst names {WORST:.0%}": min(ours) >= WORST,
        f"random search names {RANDOM:.0%} at most": np.median(random) <= RANDOM,
    }
    return [said for said, holds in checks.items() if not holds]


def limits(short: Sequence[str]) -> str:
    """The limits, and those that were missed."""
    said = f"{MEDIAN:.0%} in the median, {WORST:.0%} at worst, random search {RANDOM:.0%} at most"
    return f"limits at {SHARES[-1]:.0%} of the time: {said}; missed: {'; '.join(short) or 'none'}"
