"""The queues in front of the workers, all here: a worker has one request at a time, so that waiting is not service."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mic2e_bench.run import failures
from mic2e_bench.tools.throughput.generator import Clock
from mic2e_bench.tools.throughput.pool.policies import Choose
from mic2e_bench.tools.throughput.requests import Answer, Request

MOST_ATTEMPTS = 3  # of a request whose worker died of it, or with it


class Died(Exception):
    """A worker is gone, and with it what it worked on."""


class Worker(Protocol):
    """Something that serves one request at a time, and can be replaced."""

    name: str

    async def call(self, request: Request) -> dict[str, Any]:
        """``service_s`` and ``digest``, or ``status`` and ``reason`` of a failure. Raises ``Died``."""

    async def replaced(self) -> Worker:
        """End this one, if it lives; another worker in its place, ready to serve. Raises what stops that."""


@dataclass
class _Waiting:
    """A request until its answer; ``answer`` is set once."""

    request: Request
    answer: asyncio.Future
    attempts: int = 0


@dataclass
class _Slot:
    """A worker's place: whoever is in it, its own queue, and whether it works."""

    worker: Worker
    queue: deque[_Waiting] = field(default_factory=deque)
    is_busy: bool = False

    @property
    def queued(self) -> int:
        return len(self.queue) + self.is_busy


class Pool:
    """Requests to workers by a policy; each gets one answer, whatever becomes of the workers.

    ``replaced`` counts the workers that died or did not answer within ``timeout_s``; ``lost`` says of each whose place
    stays empty why it could not be replaced. ``late_s``: how long after its intended arrival each request came here.
    """

    def __init__(self, workers: Sequence[Worker], choose: Choose, clock: Clock, timeout_s: float | None = None) -> None:
        self.slots = [_Slot(worker) for worker in workers]
        self.choose, self.clock, self.timeout_s = choose, clock, timeout_s
        self.shared: deque[_Waiting] = deque()
        self.work: set[asyncio.Task] = set()
        self.replaced, self.lost = 0, []
        self.late_s: list[float] = []

    @property
    def workers(self) -> list[Worker]:
        """Those that serve now."""
        return [slot.worker for slot in self.slots]

    async def send(self, request: Request) -> Answer:
        """Queue a request now; returns its answer."""
        self.late_s.append(self.clock() - request.intended_s)
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        index = self.choose([slot.queued for slot in self.slots]) if self.slots else None
        (self.shared if index is None else self.slots[index].queue).append(waiting)
        self._start_idle()
        return await waiting.answer

    async def settled(self) -> None:
        """Wait until every worker that is being replaced has been."""
        while self.work:
            await asyncio.wait(self.work)

    def _start_idle(self) -> None:
        """Every idle worker that has something to do begins. What all share goes first: it was here first."""
        for slot in self.slots:
            if not slot.is_busy and (queue := self.shared or slot.queue):
                slot.is_busy = True
                task = asyncio.ensure_future(self._serve(slot, queue.popleft()))
                self.work.add(task)
                task.add_done_callback(self.work.discard)
        while self.shared and not self.slots:
            waiting = self.shared.popleft()
            self._answer(
                waiting, self.clock(), "", {"status": "error", "reason": f"no worker is left: {self.lost[-1]}"}
            )

    async def _serve(self, slot: _Slot, waiting: _Waiting) -> None:
        """One request; the worker is then free, or another one is in its place."""
        sent, name, is_gone = self.clock(), slot.worker.name, True
        waiting.attempts += 1
        try:
            parts = await asyncio.wait_for(asyncio.shield(slot.worker.call(waiting.request)), self.timeout_s)
            is_gone = False
        except Died as error:
            parts = {"status": "error", "reason": f"its worker died {waiting.attempts} times: {error}"}
            if waiting.attempts < MOST_ATTEMPTS:
                parts = None
        except TimeoutError:
            parts = {"status": "timeout", "reason": f"no answer within {self.timeout_s} s"}
        except Exception as error:
            parts, is_gone = {"status": failures.classify(error), "reason": failures.describe(error)}, False
        if parts is None:  # the next that somebody takes
            self.shared.appendleft(waiting)
            self._start_idle()
        else:
            self._answer(waiting, sent, name, parts)
        if is_gone:
            await self._replace(slot)
        slot.is_busy = False
        self._start_idle()

    def _answer(self, waiting: _Waiting, sent: float, name: str, parts: dict[str, Any]) -> None:
        """The one answer of a request."""
        request = waiting.request
        known = {key: parts[key] for key in ("service_s", "status", "reason", "digest") if key in parts}
        found = {"service_s": 0.0, **known, "worker": name, "sent_s": sent, "ended_s": self.clock()}
        waiting.answer.set_result(Answer(index=request.index, intended_s=request.intended_s, **found))

    async def _replace(self, slot: _Slot) -> None:
        """Another worker in the place of one that is gone; without one, its queue is for all others."""
        self.replaced += 1
        try:
            slot.worker = await slot.worker.replaced()
        except Exception as error:
            self.lost.append(failures.describe(error))
            self.slots.remove(slot)
            self.shared.extend(slot.queue)
