"""Workers as Ray actors, each with its own pipeline. Ray's queues stay empty: a worker is asked when it is free."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mic2e_bench.plan.trial import Trial
from mic2e_bench.run import failures
from mic2e_bench.tools import cluster
from mic2e_bench.tools.throughput.pool.pool import Died
from mic2e_bench.tools.throughput.requests import Request


class Actor:
    """What runs in a worker's process. What fails is told: not every exception survives the way between processes."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def load(self) -> dict[str, Any]:
        """Build the pipeline and warm it up: how long that took, and what this process sees."""
        try:
            from mic2e_bench.run import preload  # noqa: F401 (the imports that the fork server makes)
            from mic2e_bench.tools.throughput.pipeline import Pipeline

            self.pipeline = Pipeline(self.trial)
            warmup_s = self.pipeline.warm_up()
        except Exception as error:
            return _failed(error)
        return {"load_s": self.pipeline.load_s, "warmup_s": warmup_s, "seen": cluster.seen()}

    def call(self, seed: int, images: int) -> dict[str, Any]:
        """So many pictures, one after the other: ``service_s`` is all that keeps this process from the next request."""
        start = time.perf_counter()
        try:
            made = [self.pipeline.call(seed + index) for index in range(images)]
        except Exception as error:
            return _failed(error)
        pipeline_s = sum(one["service_s"] for one in made)
        return {**made[0], "pipeline_s": pipeline_s, "service_s": time.perf_counter() - start}

    def receipts(self) -> dict[str, Any]:
        """What is in force; the last thing that it is asked."""
        try:
            return {"receipts": self.pipeline.receipts()}
        except Exception as error:
            return _failed(error)


class Idle:
    """A worker that does nothing for a while: what the load and Ray themselves cost."""

    def __init__(self, service_s: float) -> None:
        self.service_s = service_s

    def load(self) -> dict[str, Any]:
        """At once."""
        return {"seen": cluster.seen()}

    def call(self, seed: int, images: int) -> dict[str, Any]:
        """Sleep; returns for how long."""
        start = time.perf_counter()
        time.sleep(self.service_s * images)
        return {"service_s": time.perf_counter() - start}


def _failed(error: Exception) -> dict[str, Any]:
    return {"status": failures.classify(error), "reason": failures.describe(error), "service_s": 0.0}


class RayWorker:
    """An actor as the pool sees it."""

    def __init__(self, name: str, kind: type, given: Any, options: Mapping[str, Any]) -> None:
        """Start the actor; ``loaded`` waits for it."""
        self.ray = cluster.imported()
        self.name, self.kind, self.given, self.options = name, kind, given, options
        self.actor = self.ray.remote(kind).options(max_restarts=0, max_task_retries=0, **options).remote(given)

    async def loaded(self) -> dict[str, Any]:
        """Wait until it can serve; what ``load`` returned. Raises ``failures.Told``."""
        return await self._told(self.actor.load)

    async def receipts(self) -> dict[str, Any]:
        """What is in force there. Raises ``failures.Told``."""
        return (await self._told(self.actor.receipts))["receipts"]

    async def _told(self, method: Any) -> dict[str, Any]:
        try:
            found = await self._asked(method.remote())
        except Died as error:
            raise failures.Told("error", f"{self.name} died: {error}") from None
        if "reason" in found:
            raise failures.Told(found["status"], found["reason"])
        return found

    async def call(self, request: Request) -> dict[str, Any]:
        """As ``pool.Worker`` says."""
        return await self._asked(self.actor.call.remote(request.seed, round(request.size)))

    async def replaced(self) -> RayWorker:
        """As ``pool.Worker`` says."""
        self.ray.kill(self.actor)  # one that cannot be reached may live, and hold its device
        another = RayWorker(self.name, self.kind, self.given, self.options)
        await another.loaded()
        return another

    async def _asked(self, reference: Any) -> dict[str, Any]:
        errors = self.ray.exceptions
        try:
            return await asyncio.wrap_future(reference.future())
        except (errors.RayActorError, errors.OutOfMemoryError) as error:
            raise Died(" ".join(str(error).split())[:200]) from None
