"""Workers' processes with a fault, or with a journal of what they do, for ``helpers.workers``.

They are apart from the tests because every worker imports the module that its function lies in: with pandas, which most
of the tests import, that takes a second, and leaves a thread for which no process can be kept (``machine/snapshot``).
"""

import json
import os
import resource
import signal
from pathlib import Path

import helpers
import psutil
from PIL import Image

from mic2e_bench.catalog import registry
from mic2e_bench.run import worker


def _raise():
    raise ArithmeticError("on the second round")


# ---- in rounds


def watched(journal, trials, images, pipe):
    """Every call of the pipeline is noted in a file."""
    here = os.getpid()

    def note(build):
        if os.getpid() != here:  # a fork that measures memory
            return
        name = f"{build.settings['precision']} {build.call['steps']}"
        with open(journal, "a") as file:
            print(json.dumps([name, os.getpid(), len(build.on_step)]), file=file)

    helpers.before_calls(note)
    helpers.with_one_peak(trials, images, pipe)


IN_SECOND_ROUND = {"math": _raise, "sliced:auto": os.abort, "sliced:2": signal.pause}


def failing_in_the_second_round(trials, images, pipe):
    """The trial of two steps goes wrong in its second round, in the way of its build's attention."""
    here, calls = os.getpid(), []

    def fail(build):
        fault = IN_SECOND_ROUND.get(build.settings["attention"])
        if fault and build.call["steps"] == 2 and os.getpid() == here:  # not in a fork that measures memory
            calls.append(fault)
            # the first call of a trial is its warm-up, then come two to look at it, then its rounds
            if len(calls) == 5:
                fault()

    helpers.before_calls(fail)
    helpers.with_one_peak(trials, images, pipe)


def failing_by_group(fault, trials, images, pipe):
    """The placebo, or a later build of the trials, fails in its warm-up."""
    if images is None and len(trials) == {"placebo": 1, "later": 2}[fault]:
        helpers.before_calls(lambda build: _raise() if build.call["steps"] == len(trials) else None)
    helpers.with_one_peak(trials, images, pipe)


def crowded(trials, images, pipe):
    """Of bf16 there is no memory while another child holds a build."""

    def find_no_memory(build):
        others = psutil.Process(os.getppid()).children()
        if build.settings["precision"] == "bf16" and len(others) > 1:
            raise MemoryError

    helpers.before_calls(find_no_memory)
    helpers.with_one_peak(trials, images, pipe)


def _paint_black(is_black):
    """The pictures of a call are black where ``is_black(build)``, which is asked once after each call."""
    real = registry.pipeline("objectclear").call

    def call(build, item, seed):
        made = real(build, item, seed)
        return [Image.new("RGB", one.size) for one in made] if is_black(build) else made

    helpers.put(call=call)


def black_in_two_calls(trials, images, pipe):
    """The fourth and the fifth call of a trial with two steps are black."""
    calls = []

    def is_black(build):
        calls.append(build.call["steps"])
        return build.call["steps"] == 2 and calls.count(2) in (4, 5)

    _paint_black(is_black)
    helpers.with_one_peak(trials, images, pipe)


def second_is_black(trials, images, pipe):
    """The trial of two steps paints black."""
    _paint_black(lambda build: build.call["steps"] == 2)
    worker.main(trials, images, pipe)


def always_black(trials, images, pipe):
    _paint_black(lambda build: True)
    worker.main(trials, images, pipe)


# ---- in the calls of any trial


def failing_where_it_only_times(trials, images, pipe):
    if images is None:
        helpers.before_calls(lambda build: 1 / 0)
    helpers.with_one_peak(trials, images, pipe)


def failing_by_steps(faults, trials, images, pipe):
    """The calls of a trial with so many steps have this fault of ``helpers.IN_CALLS``."""

    def fail(build):
        if fault := faults.get(build.call["steps"]):
            helpers.IN_CALLS[fault]()

    helpers.before_calls(fail)
    worker.main(trials, images, pipe)


def with_fault(fault, trials, images, pipe):
    """Every call begins with a fault of ``FAULTS``."""
    helpers.before_calls(lambda build: FAULTS[fault](build.call, images.parent))
    worker.main(trials, images, pipe)


def _little_memory(call, folder):
    if call["resolution"] == 72:
        raise MemoryError


def _flaky(call, folder):
    """Fails twice, then works: what was counted is on the disk, because each attempt is another process."""
    counter = folder / "attempts"
    tried = len(counter.read_text()) if counter.exists() else 0
    if call["steps"] == 2 and tried < 2:
        counter.write_text("x" * (tried + 1))
        if tried:
            os.abort()
        raise ArithmeticError("not yet")


def _spoilt(call, folder):
    """After the first error every call of this process fails, as CUDA's do."""
    if call["steps"] == 2 or os.environ.get("SPOILT"):
        os.environ["SPOILT"] = "1"
        raise RuntimeError("CUDA error: unspecified launch failure")


def _gone(call, folder):
    if call["steps"] == 2:
        (folder / "gone").touch()
    if (folder / "gone").exists():
        what = "unspecified" if call["steps"] == 2 else "no CUDA-capable device is detected"
        raise RuntimeError(f"CUDA error: {what}")


def _address_space(call, folder):
    """From now on this process may have 100 MB more than it has."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (100 << 20), resource.RLIM_INFINITY))
    import torch

    hungry = torch.nn.Conv2d(64, 64, 3)
    hungry(torch.zeros(4, 64, 512, 512))


def _bad_alloc(call, folder):
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def _no_room(call, folder):
    if call["steps"] == 2:
        raise OSError(28, "No space left on device")


FAULTS = {f.__name__: f for f in (_little_memory, _flaky, _spoilt, _gone, _address_space, _bad_alloc, _no_room)}
