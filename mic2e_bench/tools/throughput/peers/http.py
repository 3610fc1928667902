"""Speaking to a server that nobody here wrote: every wait has an end, every answer a largest size, no redirect counts.

Nothing is sent through a proxy, and what comes back is data. What goes wrong is a ``PeerError``: one line.
"""

from __future__ import annotations

import io
import ipaddress
import json
import os
from collections.abc import Mapping
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
    """A client of one server, opened by its first use; ``timeout_s`` is for a whole exchange."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self.timeout_s, self.aiohttp = url, timeout_s, package("aiohttp")
        self._session: Any = None

    @property
    def session(self) -> Any:
        """aiohttp's session, which belongs to the loop that it is first used in."""
        if self._session is None:
            timeout = self.aiohttp.ClientTimeout(total=self.timeout_s, connect=min(CONNECT_S, self.timeout_s))
            # however many wait for a slow server, each has its own connection: a pool's queue would hide theirs
            open_ends = self.aiohttp.TCPConnector(limit=0)
            self._session = self.aiohttp.ClientSession(
                connector=open_ends, timeout=timeout, cookie_jar=self.aiohttp.DummyCookieJar(), trust_env=False
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(self, method: str, path: str, **arguments: Any) -> bytes:
        """The body of an answer that is a success. Raises ``PeerError``."""
        place = f"{self.url}{path}"
        try:
            return await self._fetch(method, place, arguments)
        except TimeoutError:
            raise PeerError(f"{place}: no answer within {self.timeout_s:g} s") from None
        except (self.aiohttp.ClientError, OSError) as error:
            number = getattr(error, "errno", None) or 0
            said = os.strerror(number) if number > 0 else str(error) or type(error).__name__
            raise PeerError(f"{place} does not answer: {said}. Is the server running there?") from None

    async def _fetch(self, method: str, place: str, arguments: dict[str, Any]) -> bytes:
        async with self.session.request(method, place, allow_redirects=False, **arguments) as response:
            if 300 <= response.status < 400:
                target = response.headers.get("location", "nowhere")[:200]
                raise PeerError(f"{place} sends elsewhere ({target}), which is not followed: give that address as url")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise PeerError(f"{place}: the answer is larger than {MOST_BYTES >> 20} MiB")
            if response.status >= 400:
                said = bytes(body[:400]).decode(errors="replace")
                raise PeerError(f"{place} answers {response.status}: {said}")
            return bytes(body)

    async def json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """The JSON object of an answer. Raises ``PeerError``."""
        return json_object(await self.fetch(method, path, **arguments), f"{self.url}{path}")


def form(fields: Mapping[str, Any], files: Mapping[str, tuple[str, bytes]]) -> Any:
    """What a multipart body is sent from: plain fields, and pictures in PNG with the names of their files."""
    data = package("aiohttp").FormData(default_to_multipart=True)
    for field, value in fields.items():
        data.add_field(field, str(value))
    for field, (name, content) in files.items():
        data.add_field(field, content, filename=name, content_type="image/png")
    return data


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
