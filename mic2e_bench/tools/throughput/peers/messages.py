"""What a ComfyUI server says over its websocket of the calls that are under way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from mic2e_bench.tools.throughput.peers.http import MOST_BYTES, Http, PeerError, json_object

OPEN_S = 10.0
ENDS = ("execution_error", "execution_interrupted")


@dataclass
class Call:
    """A call that is under way: ``failed`` says why it ended, ``cached`` are nodes that did not run again, and
    ``previews`` counts pictures that came meanwhile."""

    done: asyncio.Event = field(default_factory=asyncio.Event)
    failed: str = ""
    cached: tuple[str, ...] = ()
    previews: int = 0


class Messages:
    """A connection to a server's ``/ws``; ``open`` before anything else, ``close`` at the end."""

    def __init__(self, http: Http, client_id: str) -> None:
        self.http, self.place, self.client_id = http, f"{http.url}/ws", client_id
        self.closed = ""  # why nothing more is heard
        self._calls: dict[str, Call] = {}
        self._socket: Any = None
        self._reader: asyncio.Task | None = None

    async def open(self) -> None:
        """Raises ``PeerError``."""
        aiohttp = self.http.aiohttp
        asked = f"{self.place}?{urlencode({'clientId': self.client_id})}"
        try:
            async with asyncio.timeout(min(self.http.timeout_s, OPEN_S)):
                self._socket = await self.http.session.ws_connect(asked, max_msg_size=MOST_BYTES)
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            raise PeerError(f"{self.place} does not open: {error or type(error).__name__}") from None
        self._reader = asyncio.ensure_future(self._read(aiohttp.WSMsgType))

    @contextlib.contextmanager
    def call(self, id: str) -> Iterator[Call]:
        """What is said of the call of this id, in the block. Raises ``PeerError`` where nothing more is heard."""
        if self.closed:
            raise PeerError(self.closed)
        self._calls[id] = Call()
        try:
            yield self._calls[id]
        finally:
            del self._calls[id]

    async def close(self) -> None:
        if self._reader:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        if self._socket:
            await self._socket.close()

    async def _read(self, kinds: Any) -> None:
        """Take in what the server says, until it says no more."""
        try:
            while True:
                message = await self._socket.receive()
                if message.type == kinds.TEXT:
                    self._take(json_object(message.data, self.place))
                elif message.type == kinds.BINARY:
                    for call in self._calls.values():
                        call.previews += 1
                else:
                    said = [str(part) for part in (message.data, message.extra) if part]
                    why = " ".join(said) or "the connection is lost"
                    raise PeerError(f"{self.place} was closed by the server in the middle: {why}")
        except PeerError as error:
            self.closed = str(error)
        finally:
            for call in self._calls.values():
                call.failed = call.failed or self.closed
                call.done.set()

    def _take(self, message: Mapping[str, Any]) -> None:
        data = message.get("data")
        call = self._calls.get(str(data.get("prompt_id"))) if isinstance(data, dict) else None
        if call is None:
            return
        kind, nodes = message.get("type"), data.get("nodes")
        if kind == "execution_cached" and isinstance(nodes, list):
            call.cached = tuple(str(node) for node in nodes)
        elif kind in ENDS:
            said = data.get("exception_message", "")
            call.failed = f"{self.http.url}: node {data.get('node_id')} ({data.get('node_type')}): {kind}: {said}"
            call.done.set()
        elif kind == "executing" and data.get("node") is None:
            call.done.set()
