"""Work in forks of a process as it was: threads of libraries, what it does not see, how it ends."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import get_context

import psutil
import pytest
import torch

from mic2e_bench.machine import probes, snapshot

# Python 3.12 and later warn of any fork of a process that has threads
pytestmark = pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")


def in_a_process(act):
    """Do something in a process that has no threads of others; its exit code."""
    snapshot.threads_left()  # of tests before, for whose threads a fork would wait
    started = get_context("fork").Process(target=act)
    started.start()
    started.join(60)
    return started.exitcode


def total():
    return float((torch.ones(2000, 2000) @ torch.ones(2000, 1)).sum())  # in several threads


def test_work_begins_where_the_process_was():
    def act():
        torch.set_num_threads(2)
        total()
        state = ["as loaded"]
        kept = snapshot.Snapshot(lambda more: ([*state, more], os.getpid(), torch.get_num_threads(), total()))
        state.append("used")
        total()  # the parent goes on with threads of its own
        (one, mine, threads, sums), (two, other, *_) = kept("a"), kept("b")
        assert (one, two) == (["as loaded", "a"], ["as loaded", "b"]) and len({mine, other, os.getpid()}) == 3
        assert threads == 2 and sums == 4e6
        kept.close()
        assert not psutil.Process().children(recursive=True)

    assert in_a_process(act) == 0


def test_the_time_of_every_fork_is_its_familys():
    """What is not counted there looks like other work, and the trial like a disturbed one."""

    def busy():
        while time.process_time() < 0.4:
            pass

    def nested():
        with contextlib.closing(snapshot.Snapshot(busy)) as kept:
            kept()

    def act():
        for work in (busy, nested):
            before = sum(os.times()[2:4])  # of children that have ended
            kept = snapshot.Snapshot(work)
            kept()
            kept.close()
            assert sum(os.times()[2:4]) - before > 0.35

    assert in_a_process(act) == 0


def test_peaks_are_of_the_work_alone():
    def act():
        def peak(count):
            snapshot.hold_allocator()
            with probes.memory("cpu") as found:
                torch.ones(count << 18)
            return found.rss_bytes - found.rss_before_bytes

        blocks = [torch.ones(24 << 18) for _ in range(6)]
        del blocks[::2]  # from now on blocks of this size are of the heap, and what is freed there stays
        blocks += [torch.ones(20 << 18) for _ in range(3)] + [torch.ones(1) for _ in range(99)]
        del blocks[3:6]
        kept = snapshot.Snapshot(peak)
        large, small = kept(200), kept(20)  # both with the code that they run for the first time
        assert large - small == pytest.approx(180 << 20, rel=0.02) and small < 40 << 20

    assert in_a_process(act) == 0


def test_threads_that_a_fork_would_lack_are_named():
    def act():
        torch.set_num_threads(1)
        threading.Thread(target=threading.Event().wait, daemon=True, name="reader").start()
        with pytest.raises(snapshot.Unforkable, match=r"1 threads go on \(reader\)"):
            snapshot.Snapshot(total)

    assert in_a_process(act) == 0


@pytest.mark.parametrize("work, code", [
    (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL), (lambda: os._exit(3), 3), (lambda: 1 / 0, 1),
])  # fmt: skip
def test_a_process_ends_as_its_work_did(work, code, capfd):
    assert in_a_process(lambda: snapshot.Snapshot(work)()) == code


KILLED = """
import os, signal, time
from mic2e_bench.machine import snapshot
kept = snapshot.Snapshot(lambda: (print("at work", flush=True), time.sleep(60)))
kept()
"""


def test_no_process_outlives_the_first():
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout.readline() == "at work\n"
        family = psutil.Process(started.pid).children(recursive=True)
        started.kill()
        assert len(family) == 2 and not psutil.wait_procs(family, timeout=10)[1]
