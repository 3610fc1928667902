"""What of a comparison with ComfyUI is not equal, a line each, and whether a verdict can rest on it all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.plan.trial import Trial
from mic2e_bench.tools.throughput.peers.weights import identity
from mic2e_bench.tools.throughput.peers.workflow import Workflow

PARTS = ("unet", "vae", "text-enc")
TELLING = ("fp64", "fp32", "fp16", "bf16", "fp8")
SLOWER = {
    "--lowvram": "its model is moved to the device in parts",
    "--novram": "its model is moved to the device in parts",
    "--cache-none": "it loads its models anew in every call",
    "--cpu-vae": "its autoencoder works on the CPU",
    "--deterministic": "it is held to deterministic kernels",
    "--force-upcast-attention": "its attention is cast to more bits",
    "--disable-smart-memory": "its models leave the device after each use",
    "--fast": "it rounds more coarsely for speed",
}
ATTENTION = ("split-cross-attention", "quad-cross-attention", "sage-attention", "flash-attention")
# settings of ours that something above speaks of, or that both sides are given alike
SAID = ("precision", "attention", "device", "steps", "guidance", "resolution", "resample", "channels_last", "batch")
FULL_WORDS = 49408  # of CLIP's tokenizer, which ComfyUI has


@dataclass(frozen=True)
class Unequal:
    """``bears``: whether the times can bear it; else no verdict rests on them."""

    line: str
    bears: bool


def of_server(trial: Trial, workflow: Workflow, said: Mapping[str, Any], here: Mapping[str, Any]) -> list[Unequal]:
    """What the server's flags and the workflow show. ``here``: our environment as records have it."""
    argv = [str(word) for word in said["system"].get("argv") or ()]
    devices = [one for one in said["devices"] if isinstance(one, Mapping)]
    return [
        *_weights(trial, said.get("weights", {})),
        *_precision(trial.settings["precision"], argv),
        *_attention(trial.settings.get("attention", "native"), argv, trial.settings["device"]),
        *[Unequal(f"started with {flag}: {why}", False) for flag, why in SLOWER.items() if flag in argv],
        *_machine(trial, devices, said["system"], here, argv),
        *_queue(said),
        *_workflow(workflow),
        *_only_ours(trial),
    ]


def _weights(trial: Trial, found: Mapping[str, str]) -> list[Unequal]:
    """``found``: what the files that the workflow loads say that they were written from, by their names."""
    lines, mine = [], identity(trial)
    if unknown := [name for name, said in found.items() if not said]:
        lines.append(Unequal(f"whether {', '.join(unknown)} are our weights cannot be seen", True))
    for name, said in found.items():
        if said and said != mine:
            lines.append(Unequal(f"{name} was written from {said}, ours is {mine}", False))
    return lines


def _precision(ours: str, argv: Sequence[str]) -> list[Unequal]:
    lines = []
    for part in PARTS:
        flags = [flag for flag in argv if flag.endswith(f"-{part}") and flag.removeprefix("--").startswith(TELLING)]
        flags += [flag for flag in argv if flag in ("--force-fp32", "--force-fp16")]
        theirs = flags[0].removeprefix("--").removeprefix("force-").partition("-")[0] if flags else ""
        if not theirs:
            theirs = "fp32" if "--cpu" in argv else ""
        if theirs != ours:
            shown = theirs or "what it chooses for the device"
            lines.append(Unequal(f"{part} in {shown}, ours in {ours}: start it with --{ours}-{part}", not theirs))
    if "--cpu" in argv and ours != "fp32":
        lines.append(Unequal(f"on a CPU it casts each layer's weights and computes in fp32, ours in {ours}", False))
    return lines


def _attention(ours: str, argv: Sequence[str], device: str) -> list[Unequal]:
    chosen = next((name for name in ATTENTION if f"--use-{name}" in argv), "")
    chosen = chosen or ("" if "--use-pytorch-cross-attention" in argv or device != "cpu" else "quad-cross-attention")
    if not chosen and ours == "native":
        return []
    advice = "start it with --use-pytorch-cross-attention" if ours == "native" else "there is no flag for ours"
    return [Unequal(f"attention: {chosen or 'PyTorch'}, ours {ours}: {advice}", False)]


def _machine(
    trial: Trial, devices: Sequence[Mapping], system: Mapping, here: Mapping[str, Any], argv: Sequence[str]
) -> list[Unequal]:
    lines, ours = [], trial.settings["device"]
    kinds = [str(one.get("type")) for one in devices]
    if ours not in kinds:
        lines.append(Unequal(f"it works on {', '.join(kinds) or 'no device that it names'}, ours on {ours}", False))
    theirs, torch = str(system.get("pytorch_version")), str(here.get("packages", {}).get("torch"))
    if theirs.partition("+")[0] != torch.partition("+")[0]:
        lines.append(Unequal(f"PyTorch {theirs}, ours {torch}", True))
    if ("--force-channels-last" in argv) != (trial.settings.get("channels_last") not in (None, False, "none")):
        lines.append(Unequal("channels_last: one side has it, the other has not", False))
    if "--preview-method" in argv and argv[argv.index("--preview-method") + 1 :][:1] not in ([], ["none"]):
        lines.append(Unequal("started with previews; each call asks for none", True))
    return lines


def _queue(said: Mapping[str, Any]) -> list[Unequal]:
    return [Unequal(f"{said['queued']} other prompts were in its queue", False)] if said.get("queued") else []


def _workflow(workflow: Workflow) -> list[Unequal]:
    lines = []
    dtype = workflow.value("UNETLoader", "weight_dtype")
    if dtype not in (None, "default"):
        lines.append(Unequal(f"the workflow loads the denoiser as {dtype}", False))
    for name in ("steps", "sigmas"):
        if name in workflow.names:
            break
    else:
        lines.append(Unequal("steps are the workflow's own: neither steps nor sigmas is a named input", False))
    if "sigmas" not in workflow.names:
        kind = workflow.value("KSampler", "scheduler") or workflow.value("BasicScheduler", "scheduler")
        lines.append(Unequal(f"its noise levels are of its schedule {kind}: other steps of the same number", True))
    if "guidance" not in workflow.names:
        lines.append(Unequal("guidance is the workflow's own: with 1 a step costs half", False))
    sampler = workflow.value("KSamplerSelect", "sampler_name") or workflow.value("KSampler", "sampler_name")
    if sampler not in (None, "euler"):
        lines.append(Unequal(f"its sampler is {sampler}: see that a step calls the denoiser as often as ours", True))
    if missing := [name for name in ("prompt", "image", "mask") if name not in workflow.names]:
        lines.append(Unequal(f"not given to the workflow: {', '.join(missing)}", True))
    return lines


def _only_ours(trial: Trial) -> list[Unequal]:
    pipeline, toggles = registry.pipeline(trial.pipeline), registry.toggles()
    lines = []
    for name, value in trial.settings.items():
        usual = pipeline.defaults.get(name, toggles[name].default)
        if name not in SAID and value != usual:
            lines.append(Unequal(f"ours has {name}: {value} (usually {usual})", True))
    return lines


def of_looked(looked: Mapping[str, Any], workflow: Workflow) -> list[Unequal]:
    """What our own pipeline shows that theirs has not."""
    lines = []
    if any(words != FULL_WORDS for words in looked.get("words", ())):
        lines.append(Unequal("our model's tokenizers are not CLIP's: the prompt is other tokens there", True))
    if "of_mean" in looked:
        line = "ours draws a picture's latents from the autoencoder's distribution, it takes the mean"
        lines.append(Unequal(line, True))
    if "mask" in looked:
        lines.append(Unequal("ours makes the mask small by the nearest pixel, it by bilinear and rounding", True))
    if looked.get("scheduler") not in (None, "EulerDiscreteScheduler"):
        lines.append(Unequal(f"our sampler is {looked['scheduler']}, the workflow's is said above or euler", True))
    if "noise" not in workflow.names and looked.get("noise") is not None:
        lines.append(Unequal("the first noise is scaled by each side's own rule", True))
    return lines


ALWAYS = (
    Unequal("its service time includes reading the uploaded pictures and writing a PNG; ours resizing", True),
    Unequal("its number of threads cannot be seen", True),
)
