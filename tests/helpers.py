"""Shared by the tests: small studies, input pictures, the command line, records on disk, faults inside a worker."""

from __future__ import annotations

import atexit
import copy
import dataclasses
import functools
import hashlib
import json
import multiprocessing.forkserver
import os
import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import yaml
from PIL import Image, ImageDraw

from mic2e_bench import cli, seal
from mic2e_bench.catalog import registry
from mic2e_bench.plan import params
from mic2e_bench.records import record
from mic2e_bench.run import child, forkserver, runner, worker

TESTS = Path(__file__).parent
ROOT = TESTS.parent

STARTED_WITH = dict(os.environ)  # before any test changed the environment of this process

TINY = {
    "study": "tiny",
    "pipeline": "objectclear",
    "baseline": {"steps": 1, "resolution": 64, "guidance": 1.0, "threads": 1},
    "vary": {"steps": [1, 2]},
    "protocol": {"warmup": 0, "repeats": 1, "seeds": [42]},
    "metrics": ["psnr"],
}
TEXTS = {"prompt": "red bricks", "caption": "a blue ball on red bricks", "text": "ball", "points": [[20, 30, 1]]}


def tiny(**changes):
    """A study of two trials that takes about a second; ``None`` takes a key away."""
    made = {**copy.deepcopy(TINY), "inputs": photos(), **changes}
    return {key: value for key, value in made.items() if value is not None}


def picture(size, seed=0):
    """A picture that is no flat colour, and differs with the seed."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    ImageDraw.Draw(image).ellipse((8 + seed, 8, 40 + seed, 40), fill=(200, 30 + seed, 60))
    return image


def mask(size):
    image = Image.new("L", size)
    ImageDraw.Draw(image).ellipse((8, 8, 40, 40), fill=255)
    return image


def inputs(folder, sizes=((96, 80),)):
    """A folder of inputs (width, height) that every pipeline can take."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, size in enumerate(sizes):
        picture(size, index).save(folder / f"in{index}.png")
        mask(size).save(folder / f"in{index}.mask.png")
    texts = {f"in{index}": {**TEXTS, "box": [8, 8, 40, 40]} for index in range(len(sizes))}
    (folder / "prompts.yaml").write_text(yaml.safe_dump(texts))
    return str(folder)


@functools.cache
def photos():
    """The inputs of a study that names none: one small picture, in a folder that goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="mic2e-bench-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return inputs(folder)


def file(path, content):
    """A params file."""
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return path


def study(content):
    return params.resolve_study(content)


def run(content, results, **arguments):
    """Measure in this process; returns the summary."""
    return runner.run([study(content)], results, **arguments)


def command(capsys, *arguments):
    """One command in this process: exit code, standard output, standard error."""
    capsys.readouterr()
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def refusal(capsys, *arguments):
    """The one line with which a command refuses its input."""
    code, out, err = command(capsys, *arguments)
    assert code == 2, (code, out, err)
    assert out == ""
    (line,) = err.splitlines()
    return line


def on_disk(results, name="tiny"):
    """The records of a study by label."""
    found = [json.loads(path.read_text()) for path in sorted((Path(results) / name).glob("*.json"))]
    return {one["label"]: one for one in found}


def records(results, name="tiny"):
    """The same as everybody reads them."""
    return {one.label: one for one in map(record.read, record.paths(Path(results) / name))}


def made_up(timing, settings=None, **parts):
    """A record that nobody measured: its ``timing``, its ``settings`` and what else a test looks at."""
    content = {"study": "s", "id": "0" * 16, "label": "made up", "status": "ok", "reason": "", "receipts": {},
               "memory": {}, "images": [], "quality": {}, "environment": {}, **parts}  # fmt: skip
    trial = {**dict.fromkeys(record.TRIAL), "settings": settings or {}}
    return record.Record.of({**content, "trial": trial, "timing": timing})


def store(results, content):
    """Put a record's content where it belongs, whatever it is, as another measurement left it; returns the path."""
    path = Path(results) / content["study"] / f"{content['id']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(resealed(content)))
    return path


def rewrite(path, content):
    """A stored record with another content, as another measurement would have left it."""
    path.write_text(json.dumps(resealed(content)))


def resealed(content):
    """The content with the hash of what it is now, where it has one."""
    return seal.sealed(content) if seal.KEY in content else content


def frozen(results, name="tiny"):
    """What must not change where nothing is measured: the content and the time of every record."""
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (Path(results) / name).glob("*.json")}


def whole(results, name="tiny"):
    """Assert that a study's folder holds nothing torn: every record's images are there, as their hashes say."""
    folder = Path(results) / name
    for one in records(results, name).values():
        for image in one.images:
            assert hashlib.sha256((folder / image["file"]).read_bytes()).hexdigest() == image["sha256"]
    return True


def pictures(results, name, record):
    """A record's pictures, decoded."""
    found = []
    for image in record["images"]:
        with Image.open(Path(results) / name / image["file"]) as picture:
            found.append(picture.copy())
    return found


def workers(monkeypatch, target, *arguments):
    """From now on every worker's process is ``target(*arguments, trials, images, pipe)``.

    It is a function of a module, because it is sent to the fork server by name.
    """

    def start(trials, images, log):
        return forkserver.call(target, log, *arguments, trials, images)

    monkeypatch.setattr(child, "start", start)


def with_one_peak(trials, images, pipe):
    """The worker's process, for tests that do not look at how far a baseline's peak of memory repeats."""
    one_peak()
    worker.main(trials, images, pipe)


def one_peak():
    """In this process, a worker's, the baseline is not loaded twice again to repeat its peak of main memory."""
    from mic2e_bench.run import own_peaks  # with torch

    own_peaks.REPEATS = 0


def put(name="objectclear", **changes):
    """In this process, a worker's, the pipeline of that name is one with these changes."""
    found = {**registry.pipelines(), name: dataclasses.replace(registry.pipeline(name), **changes)}
    registry.pipelines = lambda: MappingProxyType(found)


def before_calls(act):
    """In this process, a worker's, ``act(build)`` comes before every call of the pipeline."""
    real = registry.pipeline("objectclear").call

    def call(build, item, seed):
        act(build)
        return real(build, item, seed)

    put(call=call)


def with_fault(monkeypatch, fault):
    """From now on every worker has this fault of ``FAULTS`` built in."""
    workers(monkeypatch, faulty, fault)


def faulty(fault, trials, images, pipe):
    """The worker's process, with a fault that is put in before the worker starts."""
    FAULTS[fault]()
    worker.main(trials, images, pipe)


def _second_trial(act):
    """Act in the calls of the second trial of ``tiny``."""

    def if_second(build):
        if build.call["steps"] == 2:
            act()

    return lambda: before_calls(if_second)


def _at_load(act):
    return lambda: put(load=lambda *a, **k: act())


def _memory_error():
    raise MemoryError


def _allocate():
    import torch

    torch.empty(1 << 50)  # PyTorch's allocator raises a RuntimeError


def _raise():
    raise ArithmeticError("a toggle\nthat breaks")


def _hang():
    signal.pause()


def _leave_a_heir():
    """End at once, while a child of this process keeps the pipe open."""
    if os.fork() == 0:
        signal.alarm(60)
        signal.pause()
    os.abort()


IN_CALLS = {
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "memory": _memory_error,
    "allocation": _allocate,
    "raise": _raise,
    "hang": _hang,
}
FAULTS = {
    "hang": _second_trial(_hang),
    "abort at load": _at_load(os.abort),
    "hang at load": _at_load(_hang),
    "heir": _leave_a_heir,
}


def at_stage(monkeypatch, stage, act):
    """Do ``act(pid of the worker)`` once, when a worker says that it has reached ``stage``."""
    start, started = child.start, []

    def noted(trials, images, log):
        process, pipe = start(trials, images, log)
        started[:] = [process.pid]
        return process, pipe

    class Watched(runner.Progress):
        def at(self, trial, reached, share):
            super().at(trial, reached, share)
            if started and reached.startswith(stage):  # this bar outlives the patches
                monkeypatch.undo()
                act(started.pop())

    monkeypatch.setattr(child, "start", noted)
    monkeypatch.setattr(runner, "Progress", Watched)


FORK = multiprocessing.get_context("fork")


def saying(monkeypatch, *messages):
    """From now on a worker measures nothing, and sends these messages."""

    def start(trials, images, log):
        mine, its = FORK.Pipe()
        process = FORK.Process(target=say, args=(its, messages))
        process.start()
        its.close()
        return process, mine

    monkeypatch.setattr(child, "start", start)


def say(pipe, messages):
    for message in messages:
        pipe.send(message)
    signal.pause()


@contextmanager
def process(target, *args):
    """A runner in a process of its own that shares this one's fork server, so that it starts at once."""
    server = multiprocessing.forkserver.ForkServer
    # it would wait for the server, which is no child of that process
    server.ensure_running, before = lambda self: None, server.ensure_running
    started = FORK.Process(target=target, args=args)
    try:
        started.start()
    finally:
        server.ensure_running = before
    yield started
    started.kill()
    started.join()
