"""Benchmarking and tuning workbench for the diffusion pipelines behind MIC2E.

``run(params)`` measures a study, ``load(results)`` reads its records into a frame, ``apply(pipe, preset)`` puts a
preset in force on a live pipeline.
"""

# the room: imported once before, it does not take the name of the function later
import mic2e_bench.run  # noqa: F401
from mic2e_bench.api import apply, load, run
from mic2e_bench.version import VERSION as __version__

__all__ = ["__version__", "apply", "load", "run"]
