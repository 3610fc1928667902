"""Is the load over HTTP on schedule? ``python -m mic2e_bench.workshop.proof.http_load``

An endpoint in a process of its own that answers after 1 ms, and 200 requests a second that arrive by themselves: how
long after it was due each is sent, and what the way there and back takes. Exits with 1 where p99 of the first is above
1 ms, or a request failed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from mic2e_bench import statistics
from mic2e_bench.tools.throughput import arrivals, generator, percentiles
from mic2e_bench.tools.throughput.peers import measuring
from mic2e_bench.tools.throughput.peers.endpoint import Endpoint, Form
from mic2e_bench.tools.throughput.requests import Answer, Request
from mic2e_bench.workshop import proof

RATE, SERVICE_S, LATE_S = 200.0, 0.001, 0.001


def main(requests: int) -> int:
    """The section, on standard output."""
    made_by = multiprocessing.get_context("spawn")
    mine, its = made_by.Pipe()
    server = made_by.Process(target=serve, args=(its,), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{mine.recv()}"
        generator.run(load(url, even(200)))  # the first calls import and connect
        runs = {name: [generator.run(load(url, due(requests))) for _ in range(statistics.ENOUGH)] for name, due in DUE}
    finally:
        server.kill()
        server.join()
    lost = sum(one.status != "ok" for found in runs.values() for run in found for one in run)
    rows, late = [], {}
    for name, found in runs.items():
        late[name] = [[one.sent_s - one.intended_s for one in run] for run in found]
        ways = [[one.ended_s - one.sent_s for one in run] for run in found]
        limit = f"p99 {1000 * LATE_S:.0f} ms"
        for what, times, most in (("sent after it was due", late[name], limit), ("there and back", ways, "none")):
            rows.append((name, what, *(percentiles.of_runs(times, share).text(1000) for share in (0.5, 0.99)), most))
    about = (
        f"{RATE:.0f} requests a second for an endpoint that answers after {1000 * SERVICE_S:.0f} ms; "
        f"{statistics.ENOUGH} runs of {requests} requests, {lost} failed; ms, [95 % interval over runs]. "
        f"{proof.place()}."
    )
    print(proof.section("The load over HTTP", about, ("arrivals", "what", "p50", "p99", "limit"), rows))
    return int(lost > 0 or any(percentiles.of_runs(times, 0.99).value > LATE_S for times in late.values()))


def even(count: int) -> list[float]:
    """Arrivals that are alike far from each other."""
    return [(index + 1) / RATE for index in range(count)]


def by_chance(count: int) -> list[float]:
    """Poisson arrivals."""
    return arrivals.poisson(RATE, count, 1)


DUE = (("even", even), ("Poisson", by_chance))


async def load(url: str, due: Sequence[float]) -> list[Answer]:
    """One open loop of so many requests."""
    client = Endpoint(url, Form.of({"fields": {"seed": "seed"}}, "http_load"), 10.0)
    requests = [Request(index, at, index) for index, at in enumerate(due)]
    clock = generator.Clock()
    try:
        return await generator.open_loop(requests, measuring.sender(client, {}, clock, measuring.Kept()), clock)
    finally:
        await client.close()


def serve(pipe: Connection) -> None:
    """The endpoint: says its port, then answers for ever."""

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        while head := await _head(reader):
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            await asyncio.sleep(SERVICE_S)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    generator.run(run())


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


if __name__ == "__main__":
    proof.start(main, __doc__, requests=2000)
