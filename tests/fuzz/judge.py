"""One damaged input, given to the command line in this process, and what is wrong with the answer."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from world import SECRET, Case, lay, snapshot

from mic2e_bench import cli, commands
from mic2e_bench.commands import run
from mic2e_bench.errors import BadInput

SECONDS, BYTES, LINES = 20, 2 << 30, 6
# 1 and 3 are answers, too: problems were found, nothing fits, something got worse, nothing is clear
ANSWERS = {"verify": (0, 1, 2), "recommend": (0, 1, 2), "tables": (0, 1, 2), "compare": (0, 1, 2, 3), "fit": (0, 1, 2)}
_opened: list[tuple[str, bool]] = []
_watching = threading.Event()


def _watch(event: str, arguments: tuple) -> None:
    """Notes every file that is opened while a command runs, and whether it is to be written."""
    if event == "open" and _watching.is_set() and isinstance(arguments[0], (str, bytes, os.PathLike)):
        flags = arguments[2] or 0
        _opened.append((os.fsdecode(arguments[0]), bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))))


sys.addaudithook(_watch)


class Late(BaseException):
    """A command that does not end; no handler of an Exception takes it away."""


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    if not seconds:  # under pytest, which has the alarm for itself
        yield
        return

    def ring(signum, frame):
        raise Late

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _execute(arguments: list[str]) -> int:
    """A command's exit code; ``figures``: what ``run`` and ``report`` make of the records that are there."""
    if arguments[0] != "figures":
        return cli.main(arguments)
    try:
        return _figures(arguments[1:])
    except BadInput as error:
        print(f"mic2e-bench: {error}", file=sys.stderr)
        return commands.BAD_INPUT


def _figures(params: list[str]) -> int:
    from mic2e_bench.plan.params import read_all
    from mic2e_bench.report import breakdown, findings, header, strips, tables

    results = Path("results")
    studies = [study for path in params for study in read_all(path)]
    print(run.figures(studies, results, mixed=False))
    for study in studies:
        found = findings.read(study, results, False)
        parts = [header.html(found), tables.main(found).html(), strips.html(found, 2)]
        parts += [table.html() for table in (*tables.more_metrics(found), *breakdown.all_of(found))]
        print(sum(map(len, parts)))
    return 0


def peak_bytes() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def judge(case: Case, folder: Path, seconds: int = 0) -> str:
    """What is wrong with the answer to a case, in a line or a traceback; empty where nothing is.

    After ``seconds``, if any, a command is ended that has not answered.
    """
    try:
        world = lay(case, folder)
    except (OSError, ValueError):  # a name that no file system has is no case
        return ""
    outside, inside = snapshot(folder / "outside"), snapshot(world)
    arguments = [argument.replace("{world}", str(world)) for argument in case.arguments]
    out, err, problem, code = io.StringIO(), io.StringIO(), "", None
    here, start = os.getcwd(), time.monotonic()
    peak, had_torch = peak_bytes(), "torch" in sys.modules  # of other tests, where they ran in this process
    os.chdir(world)
    _opened.clear()
    _watching.set()
    try:
        with _alarm(seconds), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _execute(arguments)
    except SystemExit as ended:
        code = ended.code
    except Late:
        problem = f"no answer in {SECONDS} s: {traceback.format_exc(limit=-3)}"
    except BaseException:
        problem = traceback.format_exc(limit=-6)
    finally:
        _watching.clear()
        os.chdir(here)
    took = time.monotonic() - start
    problem = problem or _wrong(case, code, out.getvalue(), err.getvalue())
    problem = problem or _touched(case, world, inside) or ("" if snapshot(folder / "outside") == outside else "outside")
    if peak_bytes() > max(BYTES, peak):
        problem = problem or f"more than {BYTES >> 30} GiB"
    if "torch" in sys.modules and not had_torch and not problem:
        problem = "torch was imported"
    shutil.rmtree(world, ignore_errors=True)
    return problem or (f"{took:.0f} s" if took > SECONDS else "")


def _wrong(case: Case, code: object, out: str, err: str) -> str:
    if code not in ANSWERS.get(case.arguments[0], (0, 2)):
        return f"exit code {code}: {err[-500:]}"
    if "Traceback" in out + err:
        return f"a traceback in the output: {(out + err)[-500:]}"
    if code == 2 and (lines := len((out + err).splitlines())) > LINES:
        return f"{lines} lines to say that the input is bad: {(out + err)[:500]}"
    if code == 2 and not err.strip():
        return "exit code 2 without a word"
    if code == 2 and len(err) > LINES * 1300:
        return f"{len(err)} characters to say that the input is bad"
    return ""


def _touched(case: Case, world: Path, inside: dict) -> str:
    """What was written outside of the results, or left half-written, or read where a record led."""
    after = snapshot(world)
    changed = [name for name in {*inside, *after} if inside.get(name) != after.get(name)]
    if astray := [name for name in changed if not name.startswith("results")]:
        return f"written or changed outside of the results: {sorted(astray)[:3]}"
    if parts := [name for name in changed if name.endswith(".part")]:
        return f"left half-written: {parts[:3]}"
    is_link = any(content == f"link {{world}}/../{SECRET}" for content in case.files.values())  # a person made it
    for path, is_written in _opened:
        real = os.path.realpath(os.path.join(world, path))
        if case.kind == "records" and not is_link and real.startswith(str(world.parent / "outside")):
            return f"read where a record led: {path}"
        if is_written and not real.startswith((str(world / "results"), "/dev/null", "/tmp/mic2e-bench-compile")):
            return f"opened to be written: {path}"
    return ""
