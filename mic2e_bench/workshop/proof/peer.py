"""The same step sweep by optimum-benchmark and by us: ``python -m mic2e_bench.workshop.proof.peer``

optimum-benchmark gets an environment of its own (``.peer/``, installed by uv on the first run), because it does not run
with the transformers of ours. It measures the bundled FLUX with a process for each point, as it does by default. What
is compared is the wall time of each sweep over the time of its own pipeline calls.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from mic2e_bench import api, paths
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.records import record
from mic2e_bench.workshop import proof

ENVIRONMENT = paths.root() / ".peer"
NEEDS = ("optimum-benchmark==0.6.0", "transformers>=4.50,<5", "diffusers", "accelerate", "sentencepiece", "protobuf")
SWEEP = {"steps": [1, 2, 4, 8], "side": 256, "warmup": 1, "repeats": 5}
DRIVER = """
import json, sys, time
from optimum_benchmark import Benchmark, BenchmarkConfig, InferenceConfig, ProcessConfig, PyTorchConfig

if __name__ == "__main__":
    asked, calls_s = json.loads(sys.argv[1]), 0.0
    for steps in asked["steps"]:
        call = {"num_inference_steps": steps, "height": asked["side"], "width": asked["side"],
                "guidance_scale": 0.0, "max_sequence_length": 64}
        scenario = InferenceConfig(latency=True, memory=True, duration=0, iterations=asked["repeats"],
                                   warmup_runs=asked["warmup"], input_shapes={"batch_size": 1}, call_kwargs=call)
        backend = PyTorchConfig(model=asked["model"], library="diffusers", task="text-to-image", device="cpu",
                                no_weights=False)
        report = Benchmark.launch(BenchmarkConfig(name=f"steps-{steps}", launcher=ProcessConfig(), scenario=scenario,
                                                  backend=backend)).to_dict()
        calls_s += sum(report["call"]["latency"]["values"])
    print("ANSWER" + json.dumps({"calls_s": calls_s}))
"""


def main() -> int:
    """Both sweeps, one after the other; prints wall time, own call time and their ratio."""
    install()
    rows = [("optimum-benchmark 0.6.0", *theirs()), ("mic2e-bench", *ours())]
    here = environment.here("cpu")
    steps, torch = ", ".join(map(str, SWEEP["steps"])), here["packages"]["torch"].partition("+")[0]
    about = (
        f"Steps {steps} of FLUX at {SWEEP['side']} px, {SWEEP['warmup']} warm-up call, then {SWEEP['repeats']} "
        f"timed ones, latency and memory; torch {torch} in both environments. Timed calls: the seconds of those alone."
    )
    cells = [(name, f"{wall:.1f} s", f"{calls:.1f} s", f"{wall / calls:.1f}") for name, wall, calls in rows]
    header = ("tool", "wall time of the sweep", "timed calls", "ratio")
    print(proof.section("Beside optimum-benchmark", about, header, cells))
    return 0


def install() -> None:
    """Make its environment once. Raises ``BadInput`` where uv is not there or cannot install it."""
    if (ENVIRONMENT / "done").exists():
        return
    uv = shutil.which("uv") or shutil.which("uv", path=str(paths.root() / ".uv" / "bin"))
    if not uv:
        raise BadInput("bench peer: needs uv to make optimum-benchmark's environment; install it: pip install uv.")
    torch = f"torch=={metadata.version('torch').partition('+')[0]}"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    for command in (
        ["venv", "-q", "--clear", "--python", python, str(ENVIRONMENT)],
        ["pip", "install", "-q", "--python", str(ENVIRONMENT / "bin" / "python"), *NEEDS, torch],
    ):
        if subprocess.run([uv, *command], stdout=sys.stderr).returncode:
            raise BadInput(f"bench peer: uv {command[0]} failed; what it said is above.")
    (ENVIRONMENT / "done").touch()


def theirs() -> tuple[float, float]:
    """Wall seconds of its sweep, the start of Python included, and of the timed calls."""
    with tempfile.TemporaryDirectory() as folder:
        asked = json.dumps({**SWEEP, "model": str(older_tokenizers(Path(folder)))})
        (Path(folder) / "drive.py").write_text(DRIVER)
        start = time.perf_counter()
        command = [ENVIRONMENT / "bin" / "python", "drive.py", asked]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1800)
        wall = time.perf_counter() - start
    answer = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    if not answer:
        raise BadInput(f"bench peer: optimum-benchmark failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    return wall, json.loads(answer[0].removeprefix("ANSWER"))["calls_s"]


def older_tokenizers(folder: Path) -> Path:
    """The bundled FLUX with its tokenizers under the names that transformers 4 knows them by; the rest is linked."""
    source, made = sources.bundled("flux-schnell", "bench peer"), folder / "model"
    made.mkdir()
    for path in source.iterdir():
        if not path.name.startswith("tokenizer") and path.name != "model_index.json":
            (made / path.name).symlink_to(path)
    index = json.loads((source / "model_index.json").read_text())
    for name in ("tokenizer", "tokenizer_2"):
        index[name][1] = index[name][1].removesuffix("Fast") + "Fast"
        shutil.copytree(source / name, made / name)
        path = made / name / "tokenizer_config.json"
        config: dict[str, Any] = json.loads(path.read_text())
        kept = {key: value for key, value in config.items() if key not in ("backend", "extra_special_tokens")}
        path.write_text(json.dumps({**kept, "tokenizer_class": index[name][1]}))
    (made / "model_index.json").write_text(json.dumps(index))
    return made


def ours() -> tuple[float, float]:
    """Wall seconds of our sweep in a fresh process, the start of Python included, and of the timed calls."""
    study = {
        "study": "peer",
        "pipeline": registry.pipeline("flux-schnell").name,
        "inputs": proof.ONE_INPUT,
        "baseline": {"resolution": SWEEP["side"]},
        "vary": {"steps": SWEEP["steps"]},
        "protocol": {"warmup": SWEEP["warmup"], "repeats": SWEEP["repeats"]},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peer.yaml"
        path.write_text(json.dumps(study))  # JSON is YAML
        start = time.perf_counter()
        command = [sys.executable, "-m", "mic2e_bench", "run", path, "--results", folder, "--strict"]
        subprocess.run(command, check=True, capture_output=True)
        wall = time.perf_counter() - start
        records = [record.read(Path(path)) for path in api.load(folder, "peer")["path"]]
    asked = {one.settings["steps"]: one for one in records}
    return wall, sum(sum(asked[steps].latency_s) for steps in SWEEP["steps"])


if __name__ == "__main__":
    proof.start(main, __doc__)
