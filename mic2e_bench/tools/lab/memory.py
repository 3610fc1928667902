"""GPU memory of a study's trials, estimated by ``fit`` in a process of its own: it imports torch, the caller never.

``python -m mic2e_bench.tools.lab.memory PARAMS`` prints ``{trial id: bytes}`` as JSON.
"""

from __future__ import annotations

import json
import sys

from mic2e_bench.errors import BadInput
from mic2e_bench.machine import fork_safety
from mic2e_bench.plan import params
from mic2e_bench.plan.settings import resolve


def main(path: str) -> None:
    """Estimate every trial; what ``fit`` cannot say has no entry."""
    study, found = params.read(path), {}
    with fork_safety.without_device():
        from mic2e_bench.tools.fit.estimate import estimate

        for trial in study.trials:
            settings = resolve({**trial.settings, "device": "cuda"}, study.pipeline, str(path))
            try:
                found[trial.id] = estimate(study.pipeline, trial.model, settings).on_card
            except BadInput as error:
                print(error, file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
