"""What the fork server imported is no garbage of its children; what they make and drop is."""

import gc
import weakref

import pytest

from mic2e_bench.catalog import registry
from mic2e_bench.machine import garbage
from mic2e_bench.run import forkserver


class Ring:
    def __init__(self):
        self.me = self


@pytest.fixture(scope="module", autouse=True)
def frozen_again():
    """As ``conftest.py`` leaves it: in the files that come, no collection goes through the libraries."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def thawed_after():
    yield
    gc.unfreeze()


def test_what_lives_is_passed_over_and_what_is_dropped_later_is_collected():
    gc.unfreeze()
    with garbage.of_imports():
        assert not gc.isenabled()
        dropped = weakref.ref(Ring())
    assert gc.isenabled() and gc.get_freeze_count() > 10_000 and dropped() is None
    dropped = weakref.ref(Ring())
    gc.collect()
    assert dropped() is None


def test_a_failed_import_leaves_collections_on():
    with pytest.raises(ImportError), garbage.of_imports():
        raise ImportError
    assert gc.isenabled()


def frozen(pipe):
    pipe.send(gc.get_freeze_count())


def test_children_inherit_it(tmp_path):
    process, pipe = forkserver.call(frozen, tmp_path / "log")
    assert pipe.recv() > 100_000
    process.join()


def test_clearing_each_call_collects_in_all_that_a_service_has():
    gc.freeze()
    build = type("Build", (), {"around_call": []})()
    registry.toggles()["cache_clearing"].apply(build, "never")
    assert gc.get_freeze_count()
    registry.toggles()["cache_clearing"].apply(build, "each_call")
    assert not gc.get_freeze_count()
