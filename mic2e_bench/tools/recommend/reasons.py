"""Why a setting is recommended: the part that quality and speed have in it, in words."""

from __future__ import annotations

import math
from collections import Counter

from mic2e_bench.tools.recommend.point import LATENCY, QUALITY
from mic2e_bench.tools.recommend.recommend import Recommendation
from mic2e_bench.units import digits

# how many have pictures of which it is known that ...
TOLD = {"same": "with the baseline's own pictures", "rounding": "within rounding of them",
        "visible": "visibly different", "too few": "with too few pictures to say", "unknown": "not known"}  # fmt: skip
WHY_NOT = {"visible": "its pictures differ visibly", "too few": "too few pictures say how good it is",
           "unknown": "it is not known how good its pictures are"}  # fmt: skip


def quality(made: Recommendation) -> str:
    """What part quality has in the choice."""
    if QUALITY in made.limits:
        return "Quality: what is within its limit is enough, as asked." if made.order[0] != QUALITY else ""
    if made.as_good:
        known = Counter(point.told for point in made.fitting)
        said = ", ".join(f"{known[word]} {words}" for word, words in TOLD.items() if known[word])
        return f"Quality: not to be told from the baseline's. Of the {len(made.fitting)} that fit: {said}."
    if QUALITY not in made.order:
        return "Nothing is known of quality: what follows says nothing of the pictures."
    if made.order[0] == QUALITY and not any(point.is_as_good for point in made.fitting):
        return "Nothing that fits is known to be as good as the baseline, so quality counts first."
    return ""


def speed(made: Recommendation) -> str:
    """By what speeds are compared."""
    if made.best is None:
        return ""
    others = [point for point in made.fitting if point is not made.best]
    if not others:
        return ""
    why = Counter(made.best.against(point).why or "intervals" for point in others)
    if set(why) == {"intervals"}:
        return "Speed is compared by the 95 % intervals of ratios."
    lacking = ", ".join(name for name, _ in why.most_common() if name != "intervals")
    where = "" if "intervals" not in why else ", else by the 95 % intervals of ratios"
    said = f"Speed is compared by medians and the spread of their calls where there is no interval ({lacking}){where}."
    if any(math.isinf(point.noise[LATENCY]) for point in made.fitting):
        said += " A single call has no spread and tells nothing apart: measure with repeats: 5 or more, or in turns."
    return said


def gain(made: Recommendation) -> str:
    """The best against the baseline; empty where it is that, or there is none."""
    base = next((point for point in made.points if point.is_baseline and point.record), None)
    if base is None or made.best.is_baseline or base.values[LATENCY] is None:
        return ""
    found = made.best.against(base)
    if found.interval is None:
        return f"speed against the baseline: {digits(found.ratio)}×, without an interval ({found.why})"
    low, high = found.interval
    clear = "" if not low <= 1 <= high else ": not to be told from it"
    return f"speed against the baseline: {digits(found.ratio)}× [{digits(low)}, {digits(high)}]{clear}"
