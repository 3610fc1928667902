"""The load: open loops, whose requests arrive when they are due whatever the others do, and closed ones of clients.

A generator that waits for a free slot before it starts the clock leaves out the very time that users wait; here every
request has its intended arrival from the beginning ("coordinated omission", Gil Tene).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from mic2e_bench.tools.throughput.requests import Answer, Request, Send

T = TypeVar("T")
AWAKE_S = 0.0005  # before a request is due: a sleep ends a little late, and to wait awake costs a core


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop whose timers are as fine as the kernel's: epoll and poll wait in whole milliseconds."""
    loop = asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector()))
    with without_collector(), loop as runner:
        return runner.run(work)


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """No garbage is collected in the block: with torch imported that takes so long that requests would be late."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Clock:
    """Seconds since the start of a run, the same for the load and for whom it asks."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def __call__(self) -> float:
        return time.perf_counter() - self.start


async def open_loop(requests: Sequence[Request], send: Send, clock: Clock) -> list[Answer]:
    """Send each request when it is due, and wait for all answers; in the order of the requests."""
    sent = []
    for request in requests:
        await until(request.intended_s, clock)
        sent.append(asyncio.ensure_future(send(request)))
    return list(await asyncio.gather(*sent))


async def until(due_s: float, clock: Clock) -> None:
    """Wait until then, the last moment awake; what else the loop has to do is done meanwhile."""
    if (left := due_s - AWAKE_S - clock()) > 0:
        await asyncio.sleep(left)
    while clock() < due_s:
        await asyncio.sleep(0)


async def closed_loop(
    requests: Sequence[Request],
    send: Send,
    clock: Clock,
    clients: int,
    done: Callable[[int], None] = lambda count: None,
) -> list[Answer]:
    """So many clients, each of whom sends its next request when it has its answer: the intended arrival is then.

    ``done(count)`` is called after each answer with the number of all so far.
    """
    waiting, answers = list(reversed(requests)), []

    async def client() -> None:
        while waiting:
            request = dataclasses.replace(waiting.pop(), intended_s=clock())
            answers.append(await send(request))
            done(len(answers))

    await asyncio.gather(*(client() for _ in range(clients)))
    return sorted(answers, key=lambda answer: answer.index)
