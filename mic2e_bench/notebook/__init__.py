"""What the notebooks call: a study, a choice, a search, a throughput study by their parameters, and the start page."""

from mic2e_bench.notebook.bench import Bench, bench
from mic2e_bench.notebook.choice import Choice, Searched, Throughput, choice, searched, throughput
from mic2e_bench.notebook.front_end import check_parameters
from mic2e_bench.notebook.start import machine, panel, studies

__all__ = (
    "Bench", "Choice", "Searched", "Throughput", "bench", "check_parameters", "choice", "machine", "panel", "searched",
    "studies", "throughput",
)  # fmt: skip
