"""A comparison for programs: everything that the other forms say, as one JSON object.

schema      1; a later one may add keys to it
base, head  the two folders; ``host`` and ``machine`` say where they were measured
summary     one line; ``counts`` how many verdicts there are of each word
exit        ``code`` (0, 1 or 3), and the ``reason`` for it
verdicts    the worst first: study, label, metric, word (worse, inconclusive, missing, better or same), change and ci95
            in ``unit`` (null: there is none), threshold, base and head in words, gated (whether it is checked), fails,
            note, seconds that the trial took, and when it started
missing     the trials that one side measured and the other has no record of: study, label, and ``note``, which says why
pictures    the trials whose pictures changed: how many (``changed``, ``of``), and one that did (files,
            input, seed)
power       what so many rounds could find, by trial and metric; ``power_method`` says how that is known
remarks, stand_ins, rule, lost   what a reader must know beside the verdicts

Numbers that are infinite or none at all are null: JSON has no others.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from mic2e_bench.tools.compare import outcome, power
from mic2e_bench.tools.compare import text as compare_text
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import WORDS

SCHEMA = 1


def of(made: Comparison, strict: bool = False) -> str:
    """The object as text, in ASCII: it can be printed anywhere."""
    counts = made.counts()
    content = {
        "schema": SCHEMA,
        "summary": compare_text.summary(made),
        "exit": dataclasses.asdict(outcome.of(made, strict)),
        "counts": {word: counts[word] for word in WORDS},
        **dataclasses.asdict(made),
        "missing": [{"study": one.study, "label": one.label, "note": one.note} for one in made.missing],
        "rule": compare_text.RULE,
        "power_method": power.METHOD,
    }
    for written, verdict in zip(content["verdicts"], made.verdicts, strict=True):
        written["fails"] = verdict.fails
    return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
