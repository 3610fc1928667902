"""Speaking to a server that nobody here wrote: every wait has an end, every answer a largest size, no redirect counts.

Nothing is sent through a proxy, and what comes back is data. What goes wrong is a ``PeerError``: one line.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mic2e_bench.errors import BadInput, in_a_line

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 64 << 20  # of an answer
MOST_PIXELS = 64 << 20  # of a picture
CONNECT_S = 5.0
LOOPBACK = "127.0.0.1"
FORMATS = ("PNG", "JPEG", "WEBP")
LACKS = "needs the extra: pip install '.[throughput]'"


class PeerError(RuntimeError):
    """What a server did that it should not have, in one line."""

    def __init__(self, line: str) -> None:
        super().__init__(in_a_line(line))


def package(name: str) -> Any:
    """A package of the extra. Raises ``BadInput`` where it is not installed."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise BadInput(f"measuring another server {LACKS} (the package {name} is not installed).") from None


def address(value: Any, port: int, where: str) -> str:
    """A server's address without a slash at its end; loopback at ``port`` where none is given. Raises ``BadInput``."""
    text = f"http://{LOOPBACK}:{port}" if value is None else str(value)
    try:
        parts = urlsplit(text)
        known = parts.port  # raises for what is no port
    except ValueError:
        parts, known = urlsplit(""), None
    strange = parts.username or parts.query or parts.fragment or known == 0
    if parts.scheme not in ("http", "https") or not parts.hostname or strange:
        raise BadInput(f"{where}: url: {text!r} is no address such as http://{LOOPBACK}:{port}.")
    return text.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Http:
    """A client of one server; ``timeout_s`` is for a whole exchange."""

    def __init__(self, url: str, timeout_s: float) -> None:
        httpx = package("httpx")
        self.url, self.timeout_s, self.httpx = url, timeout_s, httpx
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        # however many wait for a slow server, each has its own connection: a pool's queue would hide theirs
        open_ends = httpx.Limits(
            max_connections=None, max_keepalive_connections=4
        )  # it looks through all, twice a request
        # certificates take a third of a second to read, and plain HTTP has none
        verify = url.startswith("https:")
        self.client = httpx.AsyncClient(
            timeout=timeout, follow_redirects=False, trust_env=False, verify=verify, limits=open_ends
        )

    async def close(self) -> None:
        await self.client.aclose()

    async def fetch(self, method: str, path: str, **arguments: Any) -> bytes:
        """The body of an answer that is a success. Raises ``PeerError``."""
        place = f"{self.url}{path}"
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._fetch(method, place, arguments)
        except (TimeoutError, self.httpx.TimeoutException):
            raise PeerError(f"{place}: no answer within {self.timeout_s:g} s") from None
        except (self.httpx.HTTPError, self.httpx.InvalidURL, OSError) as error:
            said = str(error) or type(error).__name__
            raise PeerError(f"{place} does not answer: {said}. Is the server running there?") from None

    async def _fetch(self, method: str, place: str, arguments: dict[str, Any]) -> bytes:
        async with self.client.stream(method, place, **arguments) as response:
            if response.is_redirect:
                target = response.headers.get("location", "nowhere")[:200]
                raise PeerError(f"{place} sends elsewhere ({target}), which is not followed: give that address as url")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise PeerError(f"{place}: the answer is larger than {MOST_BYTES >> 20} MiB")
            if not response.is_success:
                said = bytes(body[:400]).decode(errors="replace")
                raise PeerError(f"{place} answers {response.status_code}: {said}")
            return bytes(body)

    async def json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """The JSON object of an answer. Raises ``PeerError``."""
        return json_object(await self.fetch(method, path, **arguments), f"{self.url}{path}")


def json_object(body: bytes | str, where: str) -> dict[str, Any]:
    """The JSON object that a text is. Raises ``PeerError``."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        said = body[:60] if isinstance(body, str) else body[:60].decode(errors="replace")
        raise PeerError(f"{where} answers no JSON object: {said!r}")
    return found


def picture(content: bytes, where: str) -> Image.Image:
    """The picture that a file's content is, in RGB. Raises ``PeerError``."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise PeerError(f"{where}: a picture of {image.width}x{image.height} is larger than any that was asked for")
        return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PeerError(f"{where}: no picture: {error}") from None
