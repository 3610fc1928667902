"""Benchmarking and tuning workbench for the diffusion pipelines behind MIC2E.

``run(params)`` measures a study, ``load(results)`` reads its records into a frame.
"""

from mic2e_bench.api import load, run

__all__ = ["load", "run"]
__version__ = "0.1.0"
