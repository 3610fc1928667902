"""Does the check in CI catch what it must, and nothing else? ``mic2e-bench compare`` against losses made on purpose.

``python -m mic2e_bench.workshop.proof.gate --times 20`` measures the small study of ``params/ci/gate.yaml`` in rounds
that take turns: as it is, once more as it is, 10 % slower, and with noisier pictures (``faults.py``). Each is
compared with the first after ``--rounds`` rounds; while a checked metric is inconclusive another round follows, up to
``--most``, as the workflow in CI does it; the interval allows for such looks. Prints Markdown for BENCHMARKS.md; exits
with 1 where a loss went unseen or a rerun failed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mic2e_bench import api, paths
from mic2e_bench.arguments import count
from mic2e_bench.plan import params
from mic2e_bench.plan.params import Study
from mic2e_bench.run import runner
from mic2e_bench.tools.compare import compare
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.workshop import proof
from mic2e_bench.workshop.command import one_line, parser
from mic2e_bench.workshop.proof import faults

BASE = "base"
VARIANTS: dict[str, faults.Fault | None] = {
    BASE: None,
    "rerun": None,
    "10 % slower": faults.slower(0.10),
    "noisier pictures": faults.noisier(12),
}
LOSSES = {"10 % slower": "latency", "noisier pictures": "quality"}  # what must be found worse


@dataclass
class Tally:
    """What became of one variant over all times."""

    caught: int = 0
    silent: int = 0
    inconclusive: int = 0  # silent, but without a clear answer
    rounds: list[int] = field(default_factory=list)
    found: Counter = field(default_factory=Counter)

    def add(self, made: Comparison, loss: str | None, rounds: int) -> None:
        self.rounds.append(rounds)
        self.found.update({failure.metric for failure in made.failures})
        self.silent += not made.failures
        self.inconclusive += not made.failures and bool(made.open_questions)
        self.caught += loss is not None and caught(made, loss)


def caught(made: Comparison, loss: str) -> bool:
    """Whether a comparison fails for the metric that got worse."""
    return any(failure.metric.partition(".")[0] == loss for failure in made.failures)


def main(arguments: list[str] | None = None) -> int:
    """Run the check ``--times`` times; print what was caught."""
    read = parser(__doc__)
    read.add_argument("--times", type=count, default=20, help="how often the whole check is run")
    read.add_argument("--rounds", type=count, default=8, help="rounds before the first comparison")
    read.add_argument("--most", type=count, default=32, help="rounds after which an inconclusive answer stays one")
    read.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the study")
    options = read.parse_args(arguments)
    study = params.read(paths.root() / "params" / "ci" / "gate.yaml", tuple(options.set))
    tallies = {name: Tally() for name in VARIANTS if name != BASE}
    start = time.perf_counter()
    for number in range(options.times):
        with tempfile.TemporaryDirectory(prefix="mic2e-bench-gate-") as folder:
            once(study, Path(folder), options.rounds, options.most, tallies)
        said = ", ".join(f"{name}: {outcome(name, tally)}" for name, tally in tallies.items())
        print(f"{number + 1}/{options.times} [{time.perf_counter() - start:.0f} s] {said}", file=sys.stderr, flush=True)
    print(report(study, tallies, options.times, time.perf_counter() - start))
    return int(any(right(name, tally) != options.times for name, tally in tallies.items()))


def once(study: Study, folder: Path, rounds: int, most: int, tallies: dict[str, Tally]) -> None:
    """One check of every variant against the base, in rounds that take turns."""
    waiting = [name for name in VARIANTS if name != BASE]
    for number in range(most):
        measure(study, folder, number, [BASE, *waiting])
        if number + 1 < rounds:
            continue
        for name in list(waiting):
            made = compare.compare(folder / BASE, folder / name)
            loss = LOSSES.get(name)
            decided = caught(made, loss) if loss else bool(made.failures)
            if decided or not made.open_questions or number + 1 == most:
                tallies[name].add(made, loss, number + 1)
                waiting.remove(name)
        if not waiting:
            return


def measure(study: Study, folder: Path, number: int, names: list[str]) -> None:
    """One round: each variant once, its order turned from round to round; pictures are scored in the first."""
    turned = names[number % len(names) :] + names[: number % len(names)]
    for name in turned if number % 2 else reversed(turned):
        results = folder / name / f"{number:03}"
        with faults.injected(VARIANTS[name]):
            summary = runner.run([study], results) if number else api.run(study, results=results)
        if summary.failed:
            reasons = "; ".join(f"{one.label}: {one.reason}" for one in summary.failed.values())
            raise SystemExit(f"{name}: {reasons}")


def outcome(name: str, tally: Tally) -> str:
    """``20 of 20 caught``, or for the rerun how often nothing was claimed."""
    return f"{right(name, tally)} of {len(tally.rounds)} {'caught' if name in LOSSES else 'silent'}"


def right(name: str, tally: Tally) -> int:
    """How often the answer was as it must be."""
    return tally.caught if name in LOSSES else tally.silent


def report(study: Study, tallies: dict[str, Tally], times: int, seconds: float) -> str:
    """The figures as a Markdown section."""
    protocol = study.baseline.protocol
    about = (
        f"{study.pipeline.name} (bundled) at {'x'.join(map(str, study.baseline.settings['resolution']))} px, "
        f"{len(study.trials)} trials, {protocol['repeats']} calls a round; {proof.place()}; {seconds / 60:.0f} min."
    )
    rows = []
    for name, tally in tallies.items():
        found = ", ".join(f"{metric} {count}x" for metric, count in tally.found.most_common()) or "nothing"
        rounds = f"{min(tally.rounds)} to {max(tally.rounds)}" if tally.rounds else "–"
        rows.append((name, outcome(name, tally), found, tally.inconclusive, rounds))
    header = ("change", "outcome", "found worse", "without a clear answer", "rounds")
    return proof.section(f"The gate, {times} times", about, header, rows)


if __name__ == "__main__":
    sys.exit(one_line(main)())
