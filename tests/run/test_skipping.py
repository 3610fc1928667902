"""What is larger than what ran out of memory, with all else equal."""

import helpers
from helpers import tiny

from mic2e_bench.run import skipping

SIZES = {"resolution": [64, 72, 80], "batch": [1, 2]}


def test_only_what_is_larger_and_else_equal_is_skipped():
    study = helpers.study(tiny(vary={**SIZES, "steps": [1, 2]}))
    by_setting = {tuple(t.settings[name] for name in ("resolution", "batch", "steps")): t for t in study.trials}
    failed = by_setting[72, 2, 1]
    assert {key for key, trial in by_setting.items() if skipping.larger(trial, failed)} == {(80, 2, 1)}
    assert skipping.why(by_setting[80, 1, 1], [failed]) == ""
    assert skipping.why(failed, [failed]) == ""


def test_sizes_of_two_sides():
    content = {"pipeline": "flux-schnell", "vary": {"resolution": [[256, 512], [512, 256], [512, 512]]}}
    wide, high, both = helpers.study({**content, "inputs": helpers.photos()}).trials[1:]
    assert skipping.larger(both, wide) and skipping.larger(both, high)
    assert not skipping.larger(wide, high) and not skipping.larger(high, wide)
