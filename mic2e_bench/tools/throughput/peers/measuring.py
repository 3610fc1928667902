"""Measure our pipeline and a server that does the same work, run by run in turns, both with models loaded anew."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.run import failures, sampling
from mic2e_bench.tools.throughput import arrivals, generator, serving
from mic2e_bench.tools.throughput.kind import Job, Point
from mic2e_bench.tools.throughput.peers import asked, ours, pictures, unequal, work
from mic2e_bench.tools.throughput.peers.beside import Beside
from mic2e_bench.tools.throughput.peers.http import PeerError, is_loopback
from mic2e_bench.tools.throughput.requests import Answer, Request, Send, columns

SIDES = ("ours", "theirs")
FIRST_SEED_OF_WARM_UP = 1_000_000  # above those that are measured: no side has their pictures before


def measure(point: Point, job: Job) -> dict[str, Any]:
    """The record's parts. Raises ``BadInput`` where the server cannot be measured at all."""
    said = _asked_about(point.asked, job)
    job.tell("a picture of ours", 0.0)
    looked = ours.look(job.trial, _seed(job), job.log)
    values = work.values(job.trial, looked)
    lines = _unequal(point.asked, job, said, looked)
    parts: dict[str, Any] = {"runs": [], "server": said, "unequal": [vars(one) for one in lines]}
    parts["looked"] = {key: value for key, value in looked.items() if not isinstance(value, bytes)}
    theirs = None
    for number in range(point.asked["runs"]):
        # they take turns in going first: what changes slowly on the machine favours neither
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            job.tell(f"run {number + 1}, {side}", (number + 0.5) / point.asked["runs"])
            watch = Beside(job.trial.settings["device"], point.asked["url"], side == "theirs")
            run, content = _ours(point, job, number) if side == "ours" else _theirs(point, job, values, number)
            theirs, beside = theirs or content, watch.finish()
            parts["runs"].append({"side": side, "run": number, **run, "during": beside["during"]})
            parts["environment"] = _disturbed(parts.get("environment", {}), beside)
            if problem := _problem(run, side, number):
                return {**parts, "status": "error", "reason": problem}
    if theirs:
        stem = job.folder / "peer" / job.log.stem
        parts["pictures"] = pictures.compare(looked, theirs, stem, f"{point.asked['url']}: its picture")
    return parts


def _disturbed(before: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    """What disturbed any run, a line each."""
    return {name: list(dict.fromkeys([*before.get(name, ()), *beside[name]])) for name in ("disturbed", "remarks")}


def _seed(job: Job) -> int:
    return job.trial.protocol["seeds"][0]


def _asked_about(asked_for: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """What the server says of itself, before it is given work. Raises ``BadInput``."""

    async def look() -> dict[str, Any]:
        client = asked.client(asked_for, min(30.0, job.trial.protocol["timeout_s"]))
        try:
            return await client.open()
        finally:
            await client.close()

    try:
        return {**generator.run(look()), "is_loopback": is_loopback(asked_for["url"])}
    except PeerError as error:
        raise BadInput(str(error)) from None


def _unequal(asked_for: Mapping[str, Any], job: Job, said: Mapping, looked: Mapping) -> list[unequal.Unequal]:
    lines = (
        [] if said["is_loopback"] else [unequal.Unequal("it is another machine: the way there and back counts", True)]
    )
    if asked_for["server"] == "endpoint":
        return [*lines, unequal.Unequal("what it runs, and in which precision, cannot be seen", True)]
    flow, here = asked.flow_of(asked_for), environment.here(job.trial.settings["device"])
    lines += [*unequal.of_server(job.trial, flow, said, here), *unequal.of_looked(looked, flow)]
    return [*lines, *unequal.ALWAYS]


def _problem(run: Mapping[str, Any], side: str, number: int) -> str:
    failed = [
        reason
        for status, reason in zip(run["answers"]["status"], run["answers"]["reason"], strict=True)
        if status != "ok"
    ]
    return f"{len(failed)} calls of run {number + 1} of {side} failed: {failed[0]}" if failed else ""


async def _load(point: Point, job: Job, send: Send, clock: generator.Clock, number: int) -> list[Answer]:
    """The requests of a run, from clients or as they arrive; both sides of a run have the same."""
    count, asked_for = point.asked["calls"], point.asked
    due = arrivals.poisson(asked_for["rate"], count, number) if "rate" in asked_for else [0.0] * count
    requests = [Request(index, at, _seed(job) + index) for index, at in enumerate(due)]
    if "rate" in asked_for:
        return await generator.open_loop(requests, send, clock)
    return await generator.closed_loop(requests, send, clock, asked_for["clients"])


def _ours(point: Point, job: Job, number: int) -> tuple[dict[str, Any], bytes | None]:
    server = serving.Server(job.trial, job.log)
    try:
        started = server.ready()

        async def run() -> tuple[list[Answer], float]:
            clock = generator.Clock()
            return await _load(point, job, ours.sender(server, clock), clock, number), clock()

        answers, took_s = generator.run(run())
    finally:
        server.close()
    first = {"load_s": started["load_s"], "warmup_s": started["warmup_s"]}
    return {"answers": columns(answers), **first, "took_s": took_s}, None


def _theirs(point: Point, job: Job, values: Mapping[str, Any], number: int) -> tuple[dict[str, Any], bytes | None]:
    """A run of the server; with the picture of the first request."""

    async def run() -> tuple[dict[str, Any], bytes | None]:
        client = asked.client(point.asked, job.trial.protocol["timeout_s"])
        try:
            await client.open()
            await client.forget()
            warmup = await _warm_up(client.call, values, job)
            clock, kept = generator.Clock(), Kept()
            answers = await _load(point, job, sender(client, values, clock, kept), clock, number)
            run = {"answers": columns(answers), "warmup_s": warmup, "took_s": clock(), "previews": kept.previews}
            return {**run, "left_out": sorted(kept.left_out)}, kept.first
        finally:
            await client.close()

    try:
        return generator.run(run())
    except PeerError as error:
        raise failures.Told("error", str(error)) from None


class Kept:
    """What is kept of a run's answers beside their times."""

    def __init__(self) -> None:
        self.first: bytes | None = None
        self.left_out: set[str] = set()
        self.previews = 0


async def _warm_up(
    call: Callable[[Mapping[str, Any]], Awaitable[Any]], values: Mapping[str, Any], job: Job
) -> list[float]:
    """Calls by the rule of the protocol, at least one: the first loads the model."""
    seconds: list[float] = []
    while not seconds or not sampling.warm(job.trial.protocol["warmup"], seconds):
        clock = generator.Clock()
        await call({**values, "seed": FIRST_SEED_OF_WARM_UP + len(seconds)})
        seconds.append(clock())
    return seconds


def sender(client: Any, values: Mapping[str, Any], clock: generator.Clock, kept: Kept) -> Send:
    """Requests to a server by its client: this work with the request's seed. ``kept`` gets what else came of them."""

    async def send(request: Request) -> Answer:
        sent = clock()
        try:
            made = await client.call({**values, "seed": request.seed})
        except PeerError as error:
            return Answer(request.index, request.intended_s, sent, clock(), 0.0, "theirs", "error", str(error))
        ended = clock()
        kept.first = made.content if request.index == 0 else kept.first
        kept.left_out |= set(client.unequal(made))
        kept.previews += made.previews
        digest = hashlib.sha256(made.content).hexdigest()
        return Answer(request.index, request.intended_s, sent, ended, made.service_s, "theirs", digest=digest)

    return send
