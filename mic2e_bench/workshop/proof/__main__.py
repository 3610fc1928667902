"""``python -m mic2e_bench.workshop.proof [NAME ...]``: run benchmarks (or those of ``ORDER``) into BENCHMARKS.md.

Each runs in a process of its own; a section that is there is replaced, others stay as they are. Exits with 1 where a
benchmark missed its limit and with 2 for an unknown name. They want a quiet machine.
"""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
import time
from pathlib import Path

from mic2e_bench import files, paths
from mic2e_bench.errors import unknown
from mic2e_bench.machine import environment
from mic2e_bench.workshop import proof
from mic2e_bench.workshop.command import one_line, parser

ORDER = (
    "fidelity", "coverage", "memory", "fit", "overhead", "agreement", "studies", "rounding", "seeing", "reading",
    "kills", "distributed", "pool", "http_load", "gate", "bisect", "landscape",
)  # fmt: skip
PARTS = (
    "bare_loop",
    "faults",
    "landscape_file",
    "landscape_model",
    "landscape_part",
    "replay",
)  # of benchmarks, and none themselves
HEAD = """# Benchmarks of the workbench

`make bench` measures these again on your machine and rewrites this file, a section for each module of
`mic2e_bench/workshop/proof/`; `python -m mic2e_bench.workshop.proof NAME` does one of them.
"""


@one_line
def main(names: list[str]) -> int:
    """Run benchmarks, the section of each going into the file as soon as it has ended."""
    known = {module.name for module in pkgutil.iter_modules(proof.__path__)} - {"__main__", *PARTS}
    for name in names:
        if name not in known:
            raise unknown("benchmark", name, known, "bench")
    missed = []
    for name in names or ORDER:
        print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.monotonic()
        command = [sys.executable, "-m", f"mic2e_bench.workshop.proof.{name}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        print(f"{name}: exit code {done.returncode} after {time.monotonic() - start:.0f} s", file=sys.stderr)
        if done.returncode:
            missed.append(name)
        # Ray says in colours, and on standard output, that a worker was killed
        said = "".join(line for line in done.stdout.splitlines(keepends=True) if "\x1b" not in line)
        if said.lstrip().startswith("#"):
            put(paths.root() / "BENCHMARKS.md", name, said)
        else:
            print(done.stdout, file=sys.stderr)
    print(f"missed: {', '.join(missed) or 'none'}")
    return int(bool(missed))


def put(path: Path, name: str, section: str) -> None:
    """Replace the section of this name in the file, or add it at the end."""
    text = path.read_text(encoding="utf-8") if path.exists() else HEAD
    here = environment.here("cpu")
    where = f"Measured {environment.now()[:10]} on {here['device']}, commit {here['git']}."
    made = f"<!-- {name} -->\n{section.strip()}\n\n{where}\n<!-- /{name} -->\n"
    old = re.compile(rf"<!-- {name} -->.*<!-- /{name} -->\n", re.DOTALL)
    text = old.sub(lambda found: made, text) if old.search(text) else f"{text.rstrip()}\n\n{made}"
    files.write_whole(path, text.encode())


if __name__ == "__main__":
    read = parser(__doc__)
    read.add_argument("names", nargs="*", metavar="NAME", help=f"a module of this folder; default: {' '.join(ORDER)}")
    sys.exit(main(read.parse_args().names))
