"""Model cards: README.md beside each bundled model, made from its evaluation.json and training.json alone."""

import json
from pathlib import Path

from mic2e_bench.workshop.train.card_text import ABOUT, LIMITS

KINDS = {  # of what is measured: the modules evaluate_*
    "objectclear": "edit", "sdxl-inpaint": "edit", "flux-schnell": "generation", "z-image-turbo": "generation",
    "sam3": "sam3",
}  # fmt: skip
DEVICES = {"cpu": "one processor thread (processor time)", "cuda": "one GPU (clock time)"}


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def table(rows: dict[str, dict], first: str) -> str:
    """A Markdown table; columns are the union of the rows' keys, in order."""
    columns = list(dict.fromkeys(k for row in rows.values() for k in row))
    heads = [first, *(c.replace("_", " ") for c in columns)]
    cells = [[name, *(number(row.get(c)) for c in columns)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *cells))


def number(value) -> str:
    return "" if value is None else f"{value:.3f}" if abs(value) < 2 else f"{value:.1f}"


def work(facts: dict) -> str:
    return f"{facts['steps']} steps, {facts['work_s']:.0f} s of work on {DEVICES[facts['device']]}"


def training_part(training: dict) -> str:
    if not training:
        return "**Not trained: seeded random weights.**"
    curve = {
        f"{p['cpu_s'] / 60:.0f} min, step {p['step']}": {k: v for k, v in p.items() if k not in ("step", "cpu_s")}
        for p in thinned(training["curve"])
    }
    return (
        f"{training['parameters'] / 1e6:.2f} M trained parameters, seed {training['seed']}, {work(training)}.\n\n"
        "Quality against training time (of held-out samples; the moving average of the weights):\n\n"
        + table(curve, "work")
    )


def autoencoder_part(facts: dict) -> str:
    last = facts["curve"][-1]
    return (
        f"Autoencoder: {facts['parameters'] / 1e6:.2f} M parameters, {work(facts)}; PSNR {last['psnr_db']} dB on "
        f"held-out scene crops, {last['leaves_psnr_db']} dB on dead leaves."
    )


def thinned(curve: list[dict], most: int = 12) -> list[dict]:
    """At most `most` points of the curve, the last one among them."""
    gap = max(1, -(-len(curve) // most))
    return [p for i, p in enumerate(curve) if (len(curve) - 1 - i) % gap == 0]


def edit_part(e: dict) -> str:
    tables = e["tables"]
    against = {"this model": tables["baseline"], **tables["comparisons"], "truth through the autoencoder": e["ceiling"]}
    s = e["settings"]
    return "\n\n".join(
        [
            f"{e['scenes']} evaluation scenes; baseline {s['steps']} steps, guidance {s['guidance']}, short side "
            f"{s['size']}, seed {s['seed']}. PSNR in dB; `psnr` and `lpips` are over object and shadow together. LPIPS "
            f"by {e['lpips_backbone']} (lower is better). Fills get the object's mask, grown by 3 pixels.",
            table(against, "all scenes"),
            "On scenes with texture:",
            table({"this model" if k == "model" else k: v for k, v in tables["textured"].items()}, "textured"),
            f"By steps (Spearman of LPIPS to the baseline picture with steps, 2 to 20: {e['spearman_steps_lpips']}):",
            table(tables["steps"], "steps"),
            "By guidance:",
            table(tables["guidance"], "guidance"),
            "By short side:",
            table(tables["size"], "pixels"),
            "Noise floor: the baseline with another seed:",
            table({"seed 1": tables["another seed"]}, "setting"),
            "Baseline, scene by scene:",
            table(tables["by scene"], "scene"),
        ]
    )


def generation_part(e: dict) -> str:
    return "\n\n".join(
        [
            f"{e['captions']} captions at {e['settings']['size']} pixels. A picture passes the colour check where a "
            "patch of the asked colour and of a thing's size is found, and the shape check where that patch's outline "
            "is nearest to the asked shape; chance is the same check with another picture's words.",
            table(e["caption_check"], "pictures"),
            f"LPIPS ({e['lpips_backbone']}) to the 8-step picture of the same seed; Spearman with steps "
            f"{e['spearman_steps_lpips']}:",
            table({"distance": e["lpips_to_8_steps"]}, "steps"),
        ]
    )


def sam3_part(e: dict) -> str:
    return (
        f"Mean IoU with the drawn mask on the {e['scenes']} bundled scenes and on {e['more']} more evaluation "
        "scenes.\n\n" + table(e["tables"], "prompt")
    )


PARTS = {"edit": edit_part, "generation": generation_part, "sam3": sam3_part}


def write_card(name: str, folder: Path) -> Path:
    """README.md from what is stored in the folder; says so where the weights are newer than the figures."""
    evaluation, training = read(folder / "evaluation.json"), read(folder / "training.json")
    parts = [f"# {name}, the small bundled model", ABOUT[name], "## Training", training_part(training)]
    autoencoder = read(folder / "vae" / "training.json")
    if autoencoder:
        parts.append(autoencoder_part(autoencoder))
    if evaluation:
        command = f"python -m mic2e_bench.workshop.train.evaluate {name}"
        parts += ["## Measured", f"One command makes these figures: `{command}`."]
        old, new = evaluation["steps_trained"], training.get("steps", 0)
        if old != new:
            parts.append(f"**The figures are of step {old}, the weights of step {new}.**")
        parts.append(PARTS[KINDS[name]](evaluation))
    parts += ["## What it is not", LIMITS[name]]
    path = folder / "README.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path
