"""A loop around pipelines of diffusers as anybody would write it, for ``fidelity``: nothing of the harness is imported.

``python bare_loop.py JSON`` loads each job's pipeline, calls it, and prints a line of JSON for each: ``seconds`` of the
timed calls and the ``sha256`` of the last picture's pixels (RGB).
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from typing import Any


def main(jobs: list[dict[str, Any]]) -> None:
    import diffusers
    import torch

    for job in jobs:
        torch.set_num_threads(job["threads"])
        loading = {"dtype": torch.float32, "use_safetensors": True}
        pipe = getattr(diffusers, job["class"]).from_pretrained(job["folder"], **loading)
        pipe.set_progress_bar_config(disable=True)
        call = edit if "image" in job else draw
        for _ in range(job["warmup"]):
            call(pipe, job, torch.Generator().manual_seed(job["seed"]))
        seconds = []
        for _ in range(job["repeats"]):
            start = time.perf_counter()
            picture = call(pipe, job, torch.Generator().manual_seed(job["seed"]))
            seconds.append(time.perf_counter() - start)
        sha256 = hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()
        print(json.dumps({"seconds": seconds, "sha256": sha256}), flush=True)


def draw(pipe: Any, job: dict[str, Any], generator: Any) -> Any:
    """Text to image."""
    return pipe(job["prompt"], height=job["size"], width=job["size"], generator=generator, **job["arguments"]).images[0]


def edit(pipe: Any, job: dict[str, Any], generator: Any) -> Any:
    """Inpainting of a square picture: resized before the call, and back after it."""
    from PIL import Image

    with Image.open(job["image"]) as opened, Image.open(job["mask"]) as opened_mask:
        whole, mask = opened.convert("RGB"), opened_mask.convert("L")
    size = (job["size"], job["size"])
    small, small_mask = whole.resize(size, Image.Resampling.BICUBIC), mask.resize(size, Image.Resampling.NEAREST)
    given = {"image": small, "mask_image": small_mask, "width": size[0], "height": size[1], "strength": 1.0}
    made = pipe(job["prompt"], **given, generator=generator, **job["arguments"]).images[0]
    return made.resize(whole.size, Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
