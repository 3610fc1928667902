"""The doctor: real calls in processes of their own, and what it says of those that end badly."""

import faulthandler
import json
import os
import signal
import time

import helpers
import huggingface_hub
import pytest

from mic2e_bench.errors import Unavailable
from mic2e_bench.tools.doctor import doctor, isolated
from mic2e_bench.tools.doctor import libraries as doctor_libraries

# Python 3.12 and later warn of any fork of a process that has threads
pytestmark = pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")


def missing():
    raise ModuleNotFoundError("No module named 'y'", name="y")


def unavailable():
    raise Unavailable("no CUDA device: why")


def wrong():
    raise ValueError("first\n\n  second \nthird")


def noisy():
    os.write(1, b"noise")
    os.write(2, b"noise")
    return "fine"


def dying(act):
    """As in a process without pytest, which would print the stack."""

    def check():
        faulthandler.disable()
        act()

    return check


ENDS = {
    "noisy": (noisy, True, "fine"),
    "missing": (missing, False, "needs y, which is not installed"),
    "unavailable": (unavailable, False, "no CUDA device: why"),
    "wrong": (wrong, False, "ValueError: first second"),
    "abort": (dying(os.abort), False, "its process was ended by SIGABRT"),
    "fault": (dying(lambda: os.kill(os.getpid(), signal.SIGSEGV)), False, "its process was ended by SIGSEGV"),
    "exit": (lambda: os._exit(7), False, "its process exited with 7"),
    "hang": (lambda: time.sleep(60), False, "no answer within 1 s"),
}


@pytest.mark.parametrize("name", ENDS)
def test_however_a_check_ends_there_is_an_answer(name, capfd):
    check, works, detail = ENDS[name]
    assert isolated.in_child(check, timeout_s=1) == {"works": works, "detail": detail}
    assert capfd.readouterr() == ("", "")


def test_one_that_aborts_takes_nothing_with_it():
    found = {name: isolated.in_child(check, 10) for name, (check, *_) in ENDS.items() if name != "hang"}
    assert {name: (one["works"], one["detail"]) for name, one in found.items()} == {
        name: (works, detail) for name, (_, works, detail) in ENDS.items() if name != "hang"
    }


def test_a_torch_that_cannot_be_imported(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = doctor.call(["xformers"])
    detail = "torch cannot be imported: ImportError: libcudart.so: cannot open"
    assert found == {"xformers": {"works": False, "detail": detail}}


@pytest.fixture(scope="module")
def few():
    """The checks that are quick enough for a test, and one of a package that is never there."""
    quick = {name: doctor_libraries.CHECKS[name] for name in ("torch", "xformers", "bitsandbytes", "onnxruntime")}
    return {**quick, "no_such_package": doctor_libraries.CHECKS["tensorrt"]}


def test_the_command(few, monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(doctor, "CHECKS", few)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    code, out, err = helpers.command(capfd, "doctor", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    libraries = found["libraries"]
    assert found["versions"]["locked"] is not bool(found["versions"]["differences"])
    assert list(libraries) == list(few)
    assert libraries["torch"]["works"] and libraries["bitsandbytes"]["works"]
    assert libraries["no_such_package"] == {"version": None, "works": False, "detail": "not installed"}
    assert libraries["onnxruntime"]["works"] or libraries["onnxruntime"]["version"] is None
    assert libraries["xformers"]["works"] is bool(found["gpus"])
    if not found["gpus"]:
        assert libraries["xformers"]["detail"].startswith("no CUDA device")
    assert found["cpu"]["usable_threads"] == len(os.sched_getaffinity(0))
    assert found["lpips"]["weights"] is None and "stand-in" in found["lpips"]["backbone"]
    assert all(str(tmp_path) in path for path in found["lpips"]["looked_for"])
    assert found["hub"]["offline"] is True and "facebook/sam3" in found["hub"]["models"]
    assert found["storage"]["writable"] and found["storage"]["disk_free_bytes"] > 0
    said = doctor.text(found)
    assert all(name in said for name in ("xformers", "no CUDA device" if not found["gpus"] else "gpu", "facebook/sam3"))


def test_lpips_weights_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert doctor.lpips_weights()["weights"] == str(weights)
    assert doctor.lpips_weights()["backbone"] == "alex, ImageNet"


def test_what_is_in_the_hubs_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--facebook--sam3"

    def cached():
        models = doctor.hub()["models"]
        assert {state for name, state in models.items() if name != "facebook/sam3"} == {"no"}
        return models["facebook/sam3"]

    assert cached() == "no"
    (folder / "snapshots" / "1" / "unet").mkdir(parents=True)
    (folder / "snapshots" / "1" / "model_index.json").touch()
    assert cached() == "no"
    (folder / "snapshots" / "1" / "unet" / "x.safetensors").touch()
    assert cached() == "yes"
    (folder / "blobs").mkdir()
    (folder / "blobs" / "x.incomplete").touch()
    assert cached().startswith("partly")


def test_results_that_cannot_be_written(tmp_path):
    assert doctor.storage(tmp_path / "not" / "yet")["writable"]
    assert not (tmp_path / "not").exists()
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "results", tmp_path / "file"):
        found = doctor.storage(place)
        assert not found["writable"] and found["reason"]
