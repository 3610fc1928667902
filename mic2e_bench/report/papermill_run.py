"""Notebooks run by papermill in processes of their own, with this interpreter as their kernel."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from mic2e_bench import documents, paths
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import tied
from mic2e_bench.plan import params
from mic2e_bench.plan.params import Study
from mic2e_bench.version import VERSION

AT_ONCE = 2
LIES_IN = "MIC2E_BENCH_NOTEBOOK_LIES_IN"  # tells the notebook the folder that it is executed into
NEEDED = ("papermill", "nbformat", "nbconvert", "ipykernel")
PREPARING = {"compile", "compile_cache", "compile_dynamic", "compile_fullgraph", "engine"}


def check() -> None:
    """Raise ``BadInput`` where what executes notebooks is missing: a machine that is only measured on, say."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise BadInput(
            f"report: {', '.join(missing)} not installed here, so no notebook can be executed. "
            "Measure with `run`, and make the report where the results are read."
        )


def notebook_of(study: Study) -> str:
    """The notebook that shows a study: presets side by side, an ablation, compilers and engines, or a sweep."""
    if "presets" in study.params:
        return "presets.ipynb"
    if "ablate" in study.params:
        return "ablation.ipynb"
    return "compile.ipynb" if study.varied and set(study.varied) <= PREPARING else "sweep.ipynb"


def source_of(study: Study) -> Path:
    """The notebook's file. Raises ``BadInput`` where there is none."""
    source = paths.root() / "notebooks" / notebook_of(study)
    if not source.is_file():
        raise BadInput(f"no notebook {source}: run from the workbench's folder.")
    return source


def way(study: Study, mixed: bool) -> str:
    """The hash of all that decides what a study's executed notebook shows, but its records: the notebook's file, the
    study's parameters, and the code and templates of this package.
    """
    return hashlib.sha256("\n".join([
        hashlib.sha256(source_of(study).read_bytes()).hexdigest(),
        documents.as_yaml(_given(study, mixed)),
        _package(),
    ]).encode()).hexdigest()  # fmt: skip


@functools.cache
def _package() -> str:
    """The hash of the code and templates that this process has."""
    folders = sorted(path for path in paths.PACKAGE.iterdir() if path.is_dir() and path != paths.BUNDLED)
    files = [*paths.PACKAGE.glob("*.py"), *(path for folder in folders for path in folder.rglob("*"))]
    found = hashlib.sha256(VERSION.encode())
    for path in sorted(path for path in files if path.suffix in (".py", ".html", ".css")):
        found.update(path.relative_to(paths.PACKAGE).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def all_of(studies: Sequence[Study], results: Path, mixed: bool) -> None:
    """Execute the notebook of every study into its results folder, two at a time.

    Raises ``BadInput`` with a line for each notebook that failed, when all have ended. An interrupt ends those
    that run, and begins no other.
    """
    if not studies:
        return
    sources = [source_of(study) for study in studies]
    problems: list[str] = []
    started: list[subprocess.Popen] = []
    layout = "{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left]"
    with surroundings() as environment, ThreadPoolExecutor(AT_ONCE) as pool:
        running = {
            pool.submit(one, source, study, results, mixed, environment, started): study
            for source, study in zip(sources, studies, strict=True)
        }
        try:
            with tqdm(total=len(studies), desc="notebooks", bar_format=layout, dynamic_ncols=True) as bar:
                for done in as_completed(running):
                    bar.update()
                    if problem := done.result():
                        problems.append(f"{notebook_of(running[done])} of {running[done].name}: {problem}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(each.done() for each in running):  # one may be starting just now
                for process in started:
                    process.kill()
                time.sleep(0.05)
            raise
    if problems:
        raise BadInput("; ".join(sorted(problems)))


@contextlib.contextmanager
def surroundings() -> Iterator[dict[str, str]]:
    """The environment of the processes: a kernel named python3 that is this interpreter, whatever else is installed.

    Nothing of the user's Jupyter or IPython settings takes part.
    """
    with tempfile.TemporaryDirectory(prefix="mic2e-bench-") as folder:
        kernel = Path(folder) / "kernels" / "python3" / "kernel.json"
        kernel.parent.mkdir(parents=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
        package = str(paths.PACKAGE.parent)
        searched = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        own = {"JUPYTER_PATH": folder, "JUPYTER_RUNTIME_DIR": folder, "IPYTHONDIR": folder}
        quiet = {"PYTHONWARNINGS": "ignore", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        yield {**os.environ, **own, **quiet, "PYTHONPATH": os.pathsep.join(searched)}


def one(
    source: Path, study: Study, results: Path, mixed: bool, environment: dict[str, str], started: list[subprocess.Popen]
) -> str:
    """Execute one notebook, its process added to ``started``; returns what went wrong, in a line, or nothing."""
    target = (results / study.name / source.name).resolve()
    given = _given(study, mixed) | {"results": str(results.resolve())}
    files = [str(path).replace("{", "{{").replace("}", "}}") for path in (source, target)]  # papermill formats them
    command = tied.command("papermill", *files, "-f", "/dev/stdin", "-k", "python3")
    command += ["--cwd", str(Path.cwd()), "--no-progress-bar", "--no-log-output"]
    given_text = documents.as_yaml(given)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = environment | {LIES_IN: str(target.parent)}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        started.append(process)
        said, _ = process.communicate(given_text)
    if process.returncode == 0:
        return ""
    return _error_in(target) or (said.strip().splitlines() or ["papermill said nothing"])[-1].strip()


def _given(study: Study, mixed: bool) -> dict[str, Any]:
    """A notebook's parameters: every key is given, so that nothing of its own example remains."""
    return {key: _plain(study.params.get(key)) for key in params.KEYS} | {"study": study.name, "mixed": mixed}


def _plain(value: Any) -> Any:
    """What becomes code of the notebook: exactly these types. Raises ``BadInput`` for another."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (str, os.PathLike)):
        return str(value)
    if value is None or type(value) in (bool, int, float):
        return value
    raise BadInput(f"report: {value!r:.60} is no text, number, true or false, list or mapping.")


def _error_in(path: Path) -> str:
    """The error that ended an executed notebook."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return ""
    errors = (out for cell in cells for out in cell.get("outputs", []) if out["output_type"] == "error")
    return next((f"{' '.join(out['evalue'].split())} ({out['ename']}; see {path})" for out in errors), "")
