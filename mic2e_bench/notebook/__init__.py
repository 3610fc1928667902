"""What the notebooks call: a study, a choice or a throughput study by their parameters, and the start page."""

from mic2e_bench.notebook.bench import Bench, bench
from mic2e_bench.notebook.choice import Choice, Throughput, choice, throughput
from mic2e_bench.notebook.front_end import check_parameters
from mic2e_bench.notebook.start import machine, panel, studies

__all__ = (
    "Bench", "Choice", "Throughput", "bench", "check_parameters", "choice", "machine", "panel", "studies", "throughput",
)  # fmt: skip
