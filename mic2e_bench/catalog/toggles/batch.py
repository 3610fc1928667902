"""How many images one call makes."""

from __future__ import annotations

from mic2e_bench.catalog.pipeline import Build, Pipeline
from mic2e_bench.catalog.toggle import Phase, Seen, Toggle, in_call, number


def apply(build: Build, value: int) -> None:
    build.call["batch"] = value


def observe(build: Build, value: int) -> Seen:
    """The batch that the denoiser saw (guidance doubles it), and the images that the VAE decoded."""
    witness = build.witness
    batches = sorted({batch for batch, _ in witness.denoiser})
    how = f"denoiser batch {', '.join(map(str, batches))}"
    if build.pipeline.task == "segmentation":
        return Seen(batches[-1] if batches else None, how)
    together = set(batches) <= {witness.decoded, 2 * witness.decoded}
    how += f"; {witness.decoded} images decoded"
    reason = "" if together else f"the denoiser did not see the {witness.decoded} images together"
    return Seen(witness.decoded, how, applied=together and witness.decoded == value, reason=reason)


def arguments(value: int, pipeline: Pipeline) -> dict[str, int]:
    return {"num_images_per_prompt": value} if value > 1 and pipeline.task != "segmentation" else {}


BATCH = Toggle(
    name="batch",
    phase=Phase.CALL,
    values="whole number from 1 to 64",
    default=1,
    parse=number(int, 1, 64),
    apply=apply,
    arguments=arguments,
    observe=observe,
    cost="rounding",
    about="Images per call, with the seeds seed, seed + 1, ...: better use of a GPU, and more memory.\n"
    "Latency stays that of the call; images_per_s is what a batch raises.",
    source="docs: diffusers, 'Batch inference'",
    tolerance=0.02,
    code=in_call,
)
