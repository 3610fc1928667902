"""Which device CUDA shows, asked of the driver alone; and one clear line where there is none."""

import helpers
import pretended
import pynvml
import pytest
from helpers import tiny
from pretended import GIB, card

from mic2e_bench.commands import plan
from mic2e_bench.machine import environment, facts, nvidia, visible
from mic2e_bench.tools.doctor import doctor


@pytest.fixture
def driver(monkeypatch):
    """A function that puts a driver with these cards in place."""

    def put(*cards, **changes):
        pretended.driver(monkeypatch.setattr, list(cards), **changes)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv(visible.ORDER, visible.SAME_ORDER)
    nvidia.handle.cache_clear()
    environment.gpu.cache_clear()
    yield put
    nvidia.handle.cache_clear()
    environment.gpu.cache_clear()


def error(code):
    def fail(*arguments):
        raise pynvml.NVMLError(code)

    return fail


SMALL = card("NVIDIA L4", 22 * GIB, uuid="GPU-2222", capability=(8, 9))
IN_PARTS = card(uuid="GPU-3333", mig=["MIG-aaaa", "MIG-bbbb"])


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (None, ["NVIDIA H100 80GB HBM3", "NVIDIA L4"]),
        ("1,0", ["NVIDIA L4", "NVIDIA H100 80GB HBM3"]),
        ("1", ["NVIDIA L4"]),
        ("0,7,1", ["NVIDIA H100 80GB HBM3"]),  # like CUDA, it ends at the first that is not there
        ("GPU-22", ["NVIDIA L4"]),
        ("MIG-bbbb", ["NVIDIA H100 80GB HBM3 MIG"]),
    ],
)
def test_the_devices_that_cuda_shows(driver, monkeypatch, asked, names):
    driver(*((IN_PARTS, SMALL) if asked and "MIG" in asked else (card(), SMALL)))
    if asked is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    assert [handle.name for handle in visible.look().handles] == names
    assert visible.look().problem == "" and environment.gpu()["name"] == names[0]


@pytest.mark.parametrize(
    ("cards", "variables", "changes", "said"),
    [
        ([], {}, {"nvmlInit": error(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)}, "no NVIDIA driver here"),
        ([], {}, {"nvmlInit": error(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)}, "no NVIDIA driver here"),
        ([], {}, {"nvmlInit": error(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)}, "driver does not answer"),
        ([card()], {}, {"nvmlDeviceGetHandleByIndex": error(pynvml.NVML_ERROR_GPU_IS_LOST)}, "driver does not answer"),
        ([], {}, {}, "the NVIDIA driver is here, and it sees no card"),
        (
            [card()],
            {"CUDA_VISIBLE_DEVICES": ""},
            {},
            "CUDA_VISIBLE_DEVICES='' hides every card; the driver sees 0: NVID",
        ),
        ([card()], {"CUDA_VISIBLE_DEVICES": "-1"}, {}, "hides every card"),
        ([card()], {"CUDA_VISIBLE_DEVICES": "3"}, {}, "CUDA_VISIBLE_DEVICES='3' names no card that is here"),
        ([card()], {"CUDA_VISIBLE_DEVICES": "GPU-9"}, {}, "names no card that is here"),
        ([card()], {"CUDA_VISIBLE_DEVICES": "MIG-9"}, {}, "names no card that is here"),
        ([IN_PARTS], {}, {}, "in MIG mode: choose an instance, CUDA_VISIBLE_DEVICES=MIG-... (MIG-aaaa, MIG-bbbb)"),
        ([card(mig=[])], {}, {}, "it has none yet"),
        ([card(), SMALL], {visible.ORDER: "FASTEST_FIRST"}, {}, "0: NVIDIA H100 80GB HBM3, 1: NVIDIA L4. Set CUDA_DEV"),
    ],
)
def test_without_a_device_one_line_says_why(driver, monkeypatch, capsys, tmp_path, cards, variables, changes, said):
    driver(*cards, **changes)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert said in visible.look().problem and "\n" not in visible.look().problem
    assert nvidia.handle() is None and environment.gpu() is None and nvidia.reading() is None
    assert doctor.trials_on()["device"] == "cpu" and said in doctor.trials_on()["problem"]
    auto = helpers.study(tiny())
    assert auto.baseline.settings["device"] == "cpu"
    assert (
        said in plan.text([auto], tmp_path)
    ) is visible.look().driver  # a machine without a driver has no GPU to miss
    asked = helpers.study(tiny(baseline={**tiny()["baseline"], "device": "cuda"}))
    assert f"unavailable here: device cuda: no CUDA device: {visible.look().problem}" in plan.text([asked], tmp_path)


def test_a_build_of_pytorch_without_cuda(driver, monkeypatch):
    driver(card())
    monkeypatch.setattr(facts, "torch_build", lambda: {"git_version": "a"})
    assert visible.look().problem.startswith("this PyTorch is built without CUDA")


def test_cuda_numbers_devices_as_the_driver_does(driver, monkeypatch):
    driver(card(), SMALL)
    monkeypatch.delenv(visible.ORDER)
    assert len(visible.look().handles) == 2
    assert visible.os.environ[visible.ORDER] == visible.SAME_ORDER


def test_the_doctor_names_every_card_and_the_one_for_trials(driver, monkeypatch):
    full = card("NVIDIA L4", 22 * GIB, used=21 * GIB, uuid="GPU-2222")
    driver(card(), full, nvmlDeviceGetComputeRunningProcesses=lambda one: [1, 2, 3] if one is full else [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = doctor.gpus()
    assert [one["name"] for one in found] == ["NVIDIA H100 80GB HBM3", "NVIDIA L4"]
    assert found[1]["memory_free_bytes"] == GIB and found[1]["processes"] == 3
    assert doctor.trials_on() == {"device": "NVIDIA H100 80GB HBM3", "problem": ""}
