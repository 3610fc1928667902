"""Images per call, a process for every call, and the page cache before loading."""

import helpers
import pytest
from toggling import DIFFUSERS, ITEM, baseline, build, fresh_is_untouched, run, tolerance

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.metrics import throughput
from mic2e_bench.catalog.toggles import batch, page_cache
from mic2e_bench.errors import Unavailable
from mic2e_bench.machine import pagecache
from mic2e_bench.plan import params
from mic2e_bench.run import assemble
from mic2e_bench.run import per_call as run_per_call

ONE = {"protocol": {"warmup": 0, "repeats": 2, "seeds": [42]}, "vary": None}


@pytest.mark.parametrize("name", (*DIFFUSERS, "sam3"))
def test_batch_makes_so_many_images_at_once_and_the_first_is_the_single_one(name):
    shot = run(name, batch=2)
    assert [key for key in shot.receipts if not shot.applied(key)] == []
    assert {size % 2 for size, _ in shot.build.witness.denoiser} == {0}
    assert shot.off_by(baseline(name)) <= tolerance("batch")
    assert baseline(name).receipts["batch"]["seen"] == 1


@pytest.mark.parametrize("name", ("objectclear", "flux-schnell"))
def test_images_of_a_batch_are_those_of_their_own_seeds(name):
    made, planned = build(name, batch=2)
    assemble.next_trial(made, planned)
    second = made.pipeline.call(made, ITEM, 1)[1]
    made.call["batch"] = 1
    alone = made.pipeline.call(made, ITEM, 2)[0]
    assert max(abs(a - b) for a, b in zip(second.tobytes(), alone.tobytes(), strict=True)) <= 5


def test_a_batch_that_was_split_is_no_batch():
    made = run("objectclear", batch=2).build
    made.witness.denoiser = [(1, "float32")] * 4
    seen = batch.BATCH.observe(made, 2)
    assert (seen.applied, seen.reason) == (False, "the denoiser did not see the 2 images together")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One study for both tests; a warm-up is a process of its own as well."""
    folder = tmp_path_factory.mktemp("results")
    protocol = {"warmup": 1, "repeats": 1, "seeds": [42]}
    helpers.run(helpers.tiny(vary=None, protocol=protocol, trials=[{"process": "per_call"}, {"batch": 2}]), folder)
    return folder


def test_batch_in_a_study(results):
    record = helpers.on_disk(results)["batch=2"]
    assert [image["index"] for image in record["images"]] == [0, 1]
    first, second = helpers.pictures(results, "tiny", record)
    assert first.tobytes() != second.tobytes()
    per_call = record["timing"]["latency_s"][0]
    assert throughput.THROUGHPUT.compute(helpers.records(results)["batch=2"]) == pytest.approx(2 / per_call)


def test_a_process_for_every_call(results):
    records = helpers.on_disk(results)
    kept, fresh = records["baseline"], records["process=per_call"]
    assert (kept["status"], fresh["status"]) == ("ok", "ok")
    parts = fresh["timing"]["restarts"]
    assert len(set(parts["pid"])) == 2
    samples = fresh["timing"]["warmup_s"] + fresh["timing"]["latency_s"]
    for waited, load, call in zip(samples, parts["load_s"], parts["call_s"], strict=True):
        assert waited > load + call > 0
    assert kept["receipts"]["process"]["seen"] == "kept"
    assert fresh["receipts"]["process"]["how"].startswith("2 timed calls by 2 processes")
    assert fresh["images"][0]["sha256"] == kept["images"][0]["sha256"]


def test_a_receipt_tells_which_processes_made_the_calls():
    parts = {"pid": [11, 12], "method": "fork"}
    assert (
        run_per_call.receipt("per_call", parts)["applied"] is True and run_per_call.receipt("kept")["applied"] is True
    )
    shared = run_per_call.receipt("per_call", {**parts, "pid": [11, 11]})
    assert (shared["seen"], shared["applied"], shared["reason"]) == ("kept", False, "asked per_call, seen kept")
    assert shared["how"].startswith("2 timed calls by 1 processes")
    assert run_per_call.receipt("per_call")["applied"] is False  # on a pipeline that somebody else calls


def test_what_stops_a_call_in_its_own_process_is_said(monkeypatch):
    (trial,) = params.resolve_study(helpers.tiny(**ONE)).trials
    for error, raised in ((Unavailable("no such kernel"), Unavailable), (MemoryError("full"), MemoryError)):
        monkeypatch.setattr(assemble, "make_build", lambda trial, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(raised, match=str(error)):
            run_per_call.time_pass(trial, lambda text, share: None)


@pytest.mark.parametrize("name", ("objectclear", "flux-schnell"))
@pytest.mark.parametrize("value", ("warm", "cold"))
def test_page_cache(name, value):
    shot = run(name, page_cache=value)
    receipt = shot.receipts["page_cache"]
    if receipt["applied"]:  # a file system in memory keeps its pages, and the receipt says so
        share = float(receipt["how"].partition("%")[0])
        # another process may have a page of a file mapped just then, which the kernel keeps
        assert receipt["seen"] == value and (share == 100 if value == "warm" else share <= 100 * page_cache.COLD)
    else:
        assert "of the pages were in memory" in receipt["reason"]
    assert shot.off_by(baseline(name)) == 0


def test_pages_of_a_file(tmp_path):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(bytes(100_000))
    pagecache.read([file])
    assert pagecache.resident([file]) == 1
    pagecache.evict([file])
    assert pagecache.resident([file]) in (0, 1)  # 1: a file system in memory
    assert pagecache.resident([]) is None


def test_random_weights_have_no_files():
    made, _ = build("flux-schnell")
    made.model = {"source": "random"}
    page_cache.apply(made, "cold")
    seen = page_cache.observe(made, "cold")
    assert (seen.value, seen.reason) == ("as-found", "there are no weight files on this machine to load from")


def test_values():
    for name, wrong in (("batch", 0), ("batch", True), ("page_cache", "hot")):
        with pytest.raises(ValueError):
            registry.toggles()[name].parse(wrong, None)


def test_fresh_build():
    assert fresh_is_untouched("objectclear", "flux-schnell")
