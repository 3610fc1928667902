"""A client of a plain endpoint: one POST, JSON or multipart, whose answer is or holds a picture."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.tools.throughput.peers.comfyui import Made
from mic2e_bench.tools.throughput.peers.http import Http, PeerError, form, json_object
from mic2e_bench.tools.throughput.peers.work import NAMES, PICTURES

SENDS = ("json", "multipart")
FORMS = ("base64", "data_uri")  # of a picture in JSON


@dataclass(frozen=True)
class Form:
    """How a call is said: ``fields`` from our names to the endpoint's, ``constant`` fields beside them.

    ``answer``: ``body``, or the place of the picture in JSON (``images.0``); ``seconds``: that of
    the time that the work took by the server's own clock, empty where it does not say it.
    """

    send: str
    fields: Mapping[str, str]
    constant: Mapping[str, Any]
    pictures: str
    answer: str
    seconds: str

    @classmethod
    def of(cls, asked: Mapping[str, Any], where: str) -> Form:
        """Raises ``BadInput``."""
        send, pictures = asked.get("send", "json"), asked.get("pictures", "base64")
        if send not in SENDS:
            raise unknown("value", send, SENDS, f"{where}: send")
        if pictures not in FORMS:
            raise unknown("value", pictures, FORMS, f"{where}: pictures")
        fields, constant = asked.get("fields", {}), asked.get("constant", {})
        if not isinstance(fields, Mapping) or not isinstance(constant, Mapping) or not fields:
            raise BadInput(f"{where}: fields: write a mapping of our names to the endpoint's, such as seed: seed.")
        for name, value in fields.items():
            if name not in NAMES:
                raise unknown("field", name, NAMES, f"{where}: fields")
            if not isinstance(value, str):
                raise BadInput(f"{where}: fields: {name}: write the endpoint's name of it; given: {value!r}.")
        return cls(send, fields, constant, pictures, str(asked.get("answer", "body")), str(asked.get("seconds") or ""))


class Endpoint:
    """The same interface as ``ComfyUI``'s."""

    restarts = False

    def __init__(self, url: str, form: Form, timeout_s: float) -> None:
        self.url, self.form, self.http = url, form, Http(url, timeout_s)

    async def open(self) -> dict[str, Any]:
        """Nothing can be looked at before the first call."""
        return {"says": "nothing of itself: an endpoint without a description"}

    async def call(self, values: Mapping[str, Any]) -> Made:
        """Do this work once. Raises ``PeerError``."""
        start = time.perf_counter()
        body = await self.http.fetch("POST", "", **self._said(values))
        passed = time.perf_counter() - start
        if self.form.answer == "body":
            return Made(body, passed)
        answer = json_object(body, self.url)
        return Made(_decoded(_at(answer, self.form.answer, self.url), self.url), self._seconds(answer, passed))

    def _said(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given = {field: (name, values[name]) for name, field in self.form.fields.items() if name in values}
        if self.form.send == "json":
            return {"json": {**self.form.constant, **{field: self._text(*one) for field, one in given.items()}}}
        files = {field: (f"{name}.png", value) for field, (name, value) in given.items() if name in PICTURES}
        plain = {field: value for field, (name, value) in given.items() if name not in PICTURES}
        return {"data": form({**self.form.constant, **plain}, files)}

    def _text(self, name: str, value: Any) -> Any:
        if name not in PICTURES:
            return value
        text = base64.b64encode(value).decode()
        return f"data:image/png;base64,{text}" if self.form.pictures == "data_uri" else text

    def _seconds(self, answer: Mapping[str, Any], passed: float) -> float:
        if not self.form.seconds:
            return passed
        found = _at(answer, self.form.seconds, self.url)
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found <= passed:
            raise PeerError(
                f"{self.url}: {self.form.seconds} is {found!r}: no seconds within the {passed:.3g} s it took"
            )
        return float(found)

    async def forget(self) -> None:
        """An endpoint cannot be told to."""

    def unequal(self, made: Made) -> list[str]:
        """It says nothing of what it kept."""
        return []

    async def close(self) -> None:
        await self.http.close()


def _at(answer: Any, place: str, url: str) -> Any:
    """The value at a place such as ``images.0.data``."""
    for key in place.split("."):
        try:
            answer = answer[int(key)] if isinstance(answer, list) else answer[key]
        except (LookupError, ValueError, TypeError):
            there = ", ".join(map(str, answer)) if isinstance(answer, dict) else type(answer).__name__
            raise PeerError(f"{url}: the answer has no '{place}'; at '{key}' it has: {there}") from None
    return answer


def _decoded(text: Any, url: str) -> bytes:
    """A picture's file content from base64 or a data URI."""
    if not isinstance(text, str):
        raise PeerError(f"{url}: the picture is no text but {type(text).__name__}")
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PeerError(f"{url}: the picture is neither base64 nor a data URI: {error}") from None
