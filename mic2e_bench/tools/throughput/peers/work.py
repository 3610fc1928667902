"""The work that a call is, for whoever does it: named values, read from the trial that is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench.plan import inputs
from mic2e_bench.plan.trial import Trial

PICTURES = ("image", "mask")
LOOKED = ("width", "height", *PICTURES, "sigmas", "noise", "prediction")  # what our own pipeline is looked at for
NAMES = ("prompt", "negative", "seed", "steps", "guidance", *LOOKED)  # what a call's work can be given as


def values(trial: Trial, looked: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, but for the seed: of the first input, which is the one that is timed.

    ``looked``: see ``ours.look``. Raises ``BadInput`` where the inputs changed since they were planned.
    """
    item, settings = inputs.read(trial.inputs)[0], trial.settings
    found = {"prompt": item.prompt or item.caption or "", "negative": ""}
    found |= {"steps": settings.get("steps"), "guidance": settings.get("guidance")}
    found |= {"width": settings.get("resolution"), "height": settings.get("resolution")}
    found |= {name: looked[name] for name in LOOKED if name in looked}
    return {name: value for name, value in found.items() if value is not None}
