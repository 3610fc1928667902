"""What moves a number is in the record, and a number that was disturbed says so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import helpers
import numpy as np
import pynvml
import pytest
from helpers import on_disk, tiny
from PIL import Image

from mic2e_bench.machine import conditions, environment, facts, nvidia
from mic2e_bench.records import comparable
from mic2e_bench.report import findings, footnotes, frame, tables
from mic2e_bench.report import header as report_header

QUIET = {
    "seconds": 10.0, "cpu_by_others": 0.05, "cpu_stolen": 0.0, "throttled_s": 0.0, "swapped_pages": 0,
    "heat_events": None, "clock_jump_s": 0.001, "slept_s": 0.0, "load_1min": [0.1, 0.2], "cpu_mhz": [None, None],
}  # fmt: skip
CARD = {"throttled_by": [], "throttled": {"power_s": 3.0, "thermal_s": None}, "processes": [7], "others": 0}


# ---- a real record


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    helpers.run(tiny(), results)
    return results, on_disk(results)


def test_the_environment_of_a_record(measured):
    for one in measured[1].values():
        here = one["environment"]
        assert {"kernel", "governor", "usable_cores", "cgroup_cpus", "cgroup_memory_bytes", "variables"} <= set(here)
        assert here["omp_wait_policy"] == os.environ.get("OMP_WAIT_POLICY") and here["ram_bytes"] > 2**30
        assert len(here["torch_build"]["git_version"]) == 40
        assert isinstance(here["disturbed"], list)
        during = here["during"]
        assert during["seconds"] > 0 and len(during["load_1min"]) == 2 and abs(during["clock_jump_s"]) < 60


def test_a_run_imports_no_torch_for_it(tmp_path):
    script = "import sys; from mic2e_bench.machine import conditions, environment; environment.here('cpu');"
    script += "conditions.Watch('cuda').finish(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_load_is_that_of_the_moment(monkeypatch):
    before = environment.here("cpu")
    monkeypatch.setattr(os, "getloadavg", lambda: (77.0, 1.0, 1.0))
    assert environment.here("cpu") == {**before, "load_1min": 77.0}


def test_no_secret_is_stored(monkeypatch):
    for name in ("HF_TOKEN", "CUDA_SECRET_KEY", "HF_HOME", "PATH", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "3")
    stored = facts.variables()
    assert stored["OMP_NUM_THREADS"] == "3"
    assert not {"HF_TOKEN", "CUDA_SECRET_KEY", "HF_HOME", "PATH"} & set(stored)


def test_what_own_processes_use_is_not_others():
    """Also of a process that one of them started, and of those that have ended."""
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print('done'); input()"
    before, _ = conditions.family()
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        alive, ids = conditions.family()
        assert child.pid in ids and alive - before >= 0.29
        child.communicate(b"\n")
    after, ids = conditions.family()
    assert child.pid not in ids and after >= alive


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="no procfs")
def test_what_the_kernel_counts_is_what_is_read():
    def counted():
        user, nice, system, idle, waiting, irq, softirq, steal = map(
            int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
        )
        busy = user + nice + system + irq + softirq
        return [ticks / os.sysconf("SC_CLK_TCK") for ticks in (busy, steal, busy + idle + waiting + steal)]

    least, read, most = counted(), conditions.Watch("cpu").before, counted()
    for low, name, high in zip(least, ("busy_s", "stolen_s", "total_s"), most, strict=True):
        assert low - 0.001 <= read[name] <= high + 0.001
    memory = " ".join(Path("/proc/meminfo").read_text().split())
    assert f"MemTotal: {facts.facts()['ram_bytes'] // 1024} kB" in memory
    assert facts.counter("pgfault") > 0 and facts.counter("fault") is None  # only whole names


# ---- what counts as disturbed


@pytest.mark.parametrize(
    "change, says",
    [
        ({}, []),
        ({"cpu_by_others": None, "cpu_stolen": None, "throttled_s": None, "swapped_pages": None}, []),
        ({"cpu_by_others": 0.34}, ["other processes used 34% of the processors"]),
        ({"cpu_stolen": 0.05}, ["the hypervisor took 5% of the processors"]),
        ({"throttled_s": 1.5}, ["the control group's CPU quota held it back for 1.5 s"]),
        ({"swapped_pages": 9}, ["9 pages came back from swap"]),
        ({"heat_events": 2}, ["the processor was throttled for heat 2 times"]),
        ({"clock_jump_s": -3600.0}, ["the wall clock was moved by -3600 s (times are of the steady clock)"]),
        ({"slept_s": 60.0, "clock_jump_s": 60.0}, ["the machine slept for 60 s"]),
    ],
)
def test_reasons(change, says):
    assert list(conditions.reasons({**QUIET, **change})) == says


@pytest.mark.parametrize(
    "change, says",
    [
        ({}, []),
        ({"throttled": {"power_s": 8.0, "thermal_s": None}, "throttled_by": ["its power limit"]},
         ["its power limit held the GPU's clocks down for 5.0 s"]),
        ({"throttled_by": ["its temperature"]}, ["its temperature held the GPU's clocks down at the end"]),
        ({"others": 2}, ["2 other processes computed on the GPU"]),
    ],
)  # fmt: skip
def test_reasons_of_a_gpu(change, says):
    assert list(conditions.reasons({**QUIET, "gpu": {"before": CARD, "after": {**CARD, **change}}})) == says


LIMITED = {"throttled": {"power_s": 8.0, "thermal_s": None}, "throttled_by": ["its power limit"]}
SAYS = "its power limit held the GPU's clocks down for 5.0 s"


@pytest.mark.parametrize(
    "clocks, disturbed, remarks",
    [
        ([1500, 1485, 1500], [], [SAYS]),  # all the time alike: that is how the card is
        ([], [], [SAYS]),
        ([1980, 1500], [SAYS, "the GPU's clock was 1500 to 1980 MHz between the calls"], []),
    ],
)
def test_a_power_limit_disturbs_only_where_the_clock_moves(clocks, disturbed, remarks):
    found = conditions.judge({**QUIET, "gpu": {"before": CARD, "after": {**CARD, **LIMITED}}}, clocks)
    assert (found["disturbed"], found["remarks"]) == (disturbed, remarks)


def test_a_clock_that_is_set_back_while_a_trial_runs(monkeypatch):
    watch = conditions.Watch("cpu")
    wall = conditions.time.time
    monkeypatch.setattr(conditions.time, "time", lambda: wall() - 3600)
    found = watch.finish()
    assert found["during"]["seconds"] >= 0 and found["during"]["clock_jump_s"] < -3590
    assert any("the wall clock was moved by -3600 s" in reason for reason in found["disturbed"])


# ---- the card, by a driver that is not there


@pytest.fixture
def card(monkeypatch):
    """NVML's answers for one device; a function that is not named here has none."""

    def nothing(*arguments):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    answers = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: f"device {index}",
        "nvmlDeviceGetClockInfo": lambda handle, kind: 1980,
        "nvmlDeviceGetTemperature": lambda handle, kind: 71,
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
        "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: (
            pynvml.nvmlClocksEventReasonSwPowerCap | pynvml.nvmlClocksEventReasonGpuIdle
        ),
        "nvmlDeviceGetViolationStatus": lambda handle, policy: SimpleNamespace(violationTime=2_500_000_000),
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [SimpleNamespace(pid=id) for id in (os.getpid(), 9, 8)],
        "nvmlDeviceGetEccMode": lambda handle: [1, 1],
    }
    for name in (name for name in dir(pynvml) if name.startswith("nvmlDeviceGet")):
        monkeypatch.setattr(pynvml, name, nothing)
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvidia.handle.cache_clear()
    yield monkeypatch
    nvidia.handle.cache_clear()


def test_a_card_is_read(card):
    now = nvidia.reading()
    assert (now["sm_mhz"], now["temperature_c"], now["power_w"]) == (1980, 71, None)
    assert now["throttled_by"] == ["its power limit"] and now["throttled"]["power_s"] == 2.5
    assert nvidia.fixed()["power_limit_w"] == 700 and nvidia.fixed()["ecc"] is True and nvidia.fixed()["mig"] is None
    found = conditions.Watch("cuda").finish()
    json.dumps(found)
    assert found["during"]["gpu"]["after"]["others"] <= 2  # of three: one is taken for ours
    assert "gpu" not in conditions.Watch("cpu").finish()["during"]


def test_others_on_the_card():
    assert conditions.count_others([7, 8, 9], [7, 1, 2, 3]) == 2
    # in a container the driver has other ids for the same processes: three are there, and one may be ours
    assert conditions.count_others([7, 8, 9], [100, 101, 102]) == 2
    assert conditions.count_others([7, 8, 9], [100, 101, 102, 103, 104]) == 0


def test_no_card(monkeypatch):
    monkeypatch.setattr(nvidia, "handle", lambda: None)
    assert nvidia.reading() is None and nvidia.fixed() is None
    assert conditions.Watch("cuda").finish()["during"].get("gpu") is None


# ---- determinism


def picture(folder, name, value):
    Image.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)).save(folder / f"{name}.png")
    return {"file": f"{name}.png", "sha256": name}


def test_the_same_image_or_the_difference(tmp_path):
    one, other = picture(tmp_path, "one", 100), picture(tmp_path, "other", 103)
    for images, same, difference in (
        ([{**one, "again": one}], True, 0),
        ([{**one, "again": other}, {**one, "again": one}], False, 3),
        ([one], None, None),
        ([], None, None),
    ):
        made = helpers.made_up({}, images=images)
        assert comparable.is_deterministic(made) is same
        assert footnotes.difference(made, tmp_path) == difference


# ---- where people see it


def test_marks_and_captions(measured, tmp_path):
    study = helpers.study(tiny())
    for label, one in json.loads(json.dumps(measured[1])).items():
        disturbed = label == "steps=2"
        one["environment"]["disturbed"] = ["other processes used 34% of the processors"] if disturbed else []
        if disturbed:
            images = tmp_path / "tiny"
            images.mkdir(exist_ok=True)
            one["images"] = [{**one["images"][0], **picture(images, "a", 7), "again": picture(images, "b", 9)}]
        helpers.store(tmp_path, one)
    found = findings.read(study, tmp_path)
    rows = {row[0]: row for row in tables.main(found).rows}
    assert rows["steps=2"][1].endswith(" †") and not rows["baseline (steps=1)"][1].endswith("†")
    text = " ".join(tables.text(study, tmp_path).split())
    assert "†: disturbed while it was measured (steps=2: other processes used 34% of the processors)." in text
    assert "The same seed did not give the same image: steps=2 differs by up to 2 of 255." in text
    assert "in 1 of 2 trials; steps=2 differs by up to 2 of 255" in report_header.html(found)
    (tmp_path / "tiny" / "b.png").unlink()
    assert "steps=2 differs, and its images cannot be compared any more" in report_header.html(found)
    table, _ = frame.load(tmp_path)
    assert dict(zip(table["label"], table["deterministic"], strict=True)) == {"baseline": True, "steps=2": False}
    assert set(table["disturbed"]) == {"", "other processes used 34% of the processors"}


def test_nothing_is_said_of_quiet_trials(measured, tmp_path):
    for one in measured[1].values():
        helpers.store(tmp_path, {**one, "environment": {**one["environment"], "disturbed": []}, "images": []})
    text = tables.text(helpers.study(tiny()), tmp_path)
    assert "†" not in text and "same seed" not in text
