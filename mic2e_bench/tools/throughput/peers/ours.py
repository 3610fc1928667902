"""Our own side of a comparison: the same requests to a pipeline of ours, its pictures, and what its scheduler does."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import failures, forkserver
from mic2e_bench.tools.throughput.pipeline import Pipeline
from mic2e_bench.tools.throughput.requests import Answer, Request, Send

if TYPE_CHECKING:
    from PIL import Image

    from mic2e_bench.tools.throughput.serving import Server


def sender(server: Server, clock: Callable[[], float]) -> Send:
    """Requests to a server of ours, one at a time; those that come meanwhile wait here: it is part of their latency."""
    free = asyncio.Lock()

    async def send(request: Request) -> Answer:
        async with free:
            sent, status, reason, said = clock(), "ok", "", {"service_s": 0.0, "digest": ""}
            try:
                said = await asyncio.to_thread(server.call, request.seed)
            except failures.Told as error:
                status, reason = error.status, error.reason
            times = request.index, request.intended_s, sent, clock(), said["service_s"]
        return Answer(*times, "ours", status, reason, said["digest"])

    return send


def look(trial: Trial, seed: int, log: Path) -> dict[str, Any]:
    """A picture of ours with this seed (``picture``, PNG), and one more with the mean of the autoencoder's distribution
    where the call draws from it (``of_mean``); of the scheduler ``sigmas``, ``noise`` (the factor of the first noise),
    ``prediction``, ``scheduler``, ``spacing``; ``words``, how many tokens the tokenizers know; ``dtype``;
    of the input ``image``, ``mask`` (PNG), ``width``, ``height`` as the model gets them.
    What a pipeline lacks is not there. Raises ``failures.Told``.
    """
    process, pipe = forkserver.call(_look, log, trial, seed)
    try:
        if not pipe.poll(trial.protocol["timeout_s"]):
            raise failures.Told("timeout", f"no picture of ours within {trial.protocol['timeout_s']} s")
        said = forkserver.receive(pipe)
    finally:
        pipe.close()
        if process.is_alive():
            process.join(5)
        process.kill()
        process.join()
    if said is None:
        raise failures.Told(*failures.died(process.exitcode, "our picture", log))
    if "failed" in said:
        raise failures.Told(*said["failed"])
    return said


def _look(trial: Trial, seed: int, pipe: Connection) -> None:
    from mic2e_bench.run import preload  # noqa: F401 (spawned, it is imported as the server does)

    try:
        pipeline = Pipeline(trial)
        pipeline.call(seed)
        found = {"picture": png(pipeline.build.latest[0]), **_facts(pipeline.build), **_inputs(pipeline)}
        if pipeline.item.image is not None and _with_mean(pipeline.build.pipe):
            pipeline.call(seed)
            found["of_mean"] = png(pipeline.build.latest[0])
        pipe.send(found)
    except Exception as error:
        pipe.send({"failed": (failures.classify(error), failures.describe(error))})


def _inputs(pipeline: Pipeline) -> dict[str, Any]:
    """The pictures of the input at the size that the model works at."""
    from mic2e_bench.catalog.models.calling import to_model_size

    item, build = pipeline.item, pipeline.build
    if item.image is None or item.mask is None or build.call.get("resample") is None:
        return {}
    image, mask = to_model_size(build, item)
    return {"image": png(image), "mask": png(mask), "width": image.width, "height": image.height}


def _facts(build: Any) -> dict[str, Any]:
    pipe, scheduler = build.pipe, getattr(build.pipe, "scheduler", None)
    found: dict[str, Any] = {"dtype": str(build.load.get("dtype", "")).removeprefix("torch.")}
    if scheduler is not None and getattr(scheduler, "sigmas", None) is not None:
        predictions = {"epsilon": "eps", "v_prediction": "v_prediction"}
        found |= {"sigmas": [float(sigma) for sigma in scheduler.sigmas], "scheduler": type(scheduler).__name__}
        found |= {"noise": float(scheduler.init_noise_sigma)} if hasattr(scheduler, "init_noise_sigma") else {}
        found |= {"prediction": predictions.get(scheduler.config.get("prediction_type", "epsilon"))}
        found |= {"spacing": scheduler.config.get("timestep_spacing", "")}
    tokenizers = [getattr(pipe, name, None) for name in ("tokenizer", "tokenizer_2")]
    found["words"] = [len(one) for one in tokenizers if one is not None]
    return found


def _with_mean(pipe: Any) -> bool:
    """From now on the pipeline takes the mean of its autoencoder's distribution; ``False`` where it has none."""
    encode = getattr(getattr(pipe, "vae", None), "encode", None)
    if encode is None:
        return False

    def mean(*args: Any, **kwargs: Any) -> Any:
        encoded = encode(*args, **kwargs)
        if hasattr(encoded, "latent_dist"):
            encoded.latent_dist.sample = lambda generator=None: encoded.latent_dist.mode()
        return encoded

    pipe.vae.encode = mean
    return True


def png(picture: Image.Image) -> bytes:
    """The picture as the content of a PNG file."""
    content = io.BytesIO()
    picture.save(content, format="PNG", compress_level=9)
    return content.getvalue()
