"""A client of ComfyUI: its workflow, its queue, its own messages of when it began and ended, its pictures."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mic2e_bench.errors import BadInput
from mic2e_bench.tools.throughput.peers import workflow as flow
from mic2e_bench.tools.throughput.peers.http import Http, PeerError, form
from mic2e_bench.tools.throughput.peers.messages import Call, Messages
from mic2e_bench.tools.throughput.peers.weights import KEY
from mic2e_bench.tools.throughput.peers.work import PICTURES
from mic2e_bench.tools.throughput.peers.workflow import Workflow

FOLDER = "mic2e-bench"  # of the server's input folder, for what is uploaded
FREED_S = 1.0


@dataclass(frozen=True)
class Made:
    """What came of a call: the picture's file content, the seconds of the server's own clock, and which of its nodes
    it did not run again; ``previews`` counts pictures that it sent in between."""

    content: bytes
    service_s: float
    cached: tuple[str, ...] = ()
    previews: int = 0


class ComfyUI:
    """A connection to a server; ``open`` before anything else, ``close`` at the end. Raises ``PeerError``."""

    restarts = True  # it can be told to load its models anew

    def __init__(self, url: str, workflow: Workflow, timeout_s: float) -> None:
        self.url, self.workflow, self.timeout_s = url, workflow, timeout_s
        self.http, self.client_id, self.number = Http(url, timeout_s), uuid.uuid4().hex, 0
        self.messages = Messages(self.http, self.client_id)

    async def open(self) -> dict[str, Any]:
        """Look at the server before anything is sent to it; returns what it says of itself.

        Raises ``BadInput`` where the workflow is not one that it can run, ``PeerError`` where it answers otherwise.
        """
        stats = await self.http.json("GET", "/system_stats")
        system, devices = stats.get("system"), stats.get("devices")
        if not isinstance(system, dict) or not isinstance(devices, list) or "comfyui_version" not in system:
            raise PeerError(f"{self.url}/system_stats is not ComfyUI's: is another server running there?")
        flow.check(self.workflow, await self.http.json("GET", "/object_info"), self.url)
        queue = await self.http.json("GET", "/queue")
        waiting = sum(len(queue[key]) for key in ("queue_running", "queue_pending") if isinstance(queue.get(key), list))
        await self.messages.open()
        known = ("comfyui_version", "pytorch_version", "python_version", "os", "ram_total", "argv")
        weights = {name: await self._origin(folder, name) for folder, name in self.workflow.weights()}
        server = {"system": {key: system.get(key) for key in known}, "devices": devices[:8], "queued": waiting}
        return {**server, "weights": weights}

    async def _origin(self, folder: str, name: str) -> str:
        """Of what a file of weights says that it was written; empty where it does not say."""
        try:
            query = urlencode({"filename": name})
            found = await self.http.json("GET", f"/view_metadata/{folder}?{query}")
        except PeerError:
            return ""
        return str(found.get(KEY, ""))[:1000]

    async def call(self, values: Mapping[str, Any]) -> Made:
        """Do this work once, with nothing of an earlier call. Raises ``PeerError``."""
        self.number += 1
        number, given = self.number, {name: value for name, value in values.items() if name in self.workflow.names}
        if "prompt" in given:
            # a text that ends otherwise is read anew, and has the same tokens: blanks at the end are none
            given["prompt"] = plain_text(given["prompt"]) + " " * number
        if "negative" in given:
            given["negative"] = plain_text(given["negative"])
        for name in PICTURES:
            if name in given:
                given[name] = await self._upload(given[name], f"{name}-{self.client_id[:8]}-{number}.png")
        if isinstance(given.get("sigmas"), (list, tuple)):
            given["sigmas"] = ", ".join(f"{value:.9f}" for value in given["sigmas"])
        if isinstance(given.get("noise"), float):
            given["noise"] = f"{given['noise']:.9f}"
        return await self._run(self.workflow.filled(given))

    async def _upload(self, content: bytes, name: str) -> str:
        fields = {"overwrite": "true", "type": "input", "subfolder": FOLDER}
        said = await self.http.json("POST", "/upload/image", data=form(fields, {"image": (name, content)}))
        if not isinstance(said.get("name"), str):
            raise PeerError(f"{self.url}/upload/image does not say what it stored: {said}")
        return f"{said['subfolder']}/{said['name']}" if said.get("subfolder") else said["name"]

    async def _run(self, nodes: flow.Nodes) -> Made:
        id = str(uuid.uuid4())
        with self.messages.call(id) as call:  # before it is sent: it may be done before the answer is read
            extra = {"preview_method": "none"}
            asked = {"prompt": nodes, "client_id": self.client_id, "prompt_id": id, "extra_data": extra}
            said = await self.http.json("POST", "/prompt", json=asked)
            if said.get("prompt_id") != id:
                raise PeerError(f"{self.url}/prompt gives the work a number of its own: it is too old a ComfyUI")
            if errors := said.get("node_errors"):
                raise PeerError(f"{self.url}/prompt: {json.dumps(errors)}")
            try:
                async with asyncio.timeout(self.timeout_s):
                    await call.done.wait()
            except TimeoutError:
                raise PeerError(f"{self.url}: the work was not done within {self.timeout_s:g} s") from None
            if call.failed:
                raise PeerError(call.failed)
            return await self._made(id, call)

    async def _made(self, id: str, call: Call) -> Made:
        place = f"/history/{id}"
        entry = (await self.http.json("GET", place)).get(id)
        try:
            stamps = {name: said["timestamp"] for name, said in entry["status"]["messages"]}
            service_s = (stamps["execution_success"] - stamps["execution_start"]) / 1000
            images = [image for out in entry["outputs"].values() for image in out.get("images", [])]
            query = urlencode({key: images[0][key] for key in ("filename", "subfolder", "type")})
        except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
            raise PeerError(f"{self.url}{place} tells of no picture and its times: {error!r}") from None
        if not 0 <= service_s < 1e6:
            raise PeerError(f"{self.url}{place}: {service_s} s from start to success cannot be")
        content = await self.http.fetch("GET", f"/view?{query}")
        return Made(content, service_s, call.cached, call.previews)

    async def forget(self) -> None:
        """Have it drop its models and all that it keeps of earlier calls: the next call loads anew."""
        await self.http.fetch("POST", "/free", json={"unload_models": True, "free_memory": True})
        await asyncio.sleep(FREED_S)  # it does so when its worker wakes, and says nothing of it

    def unequal(self, made: Made) -> list[str]:
        """The nodes that had to work in a call and did not, by id and class."""
        left_out = sorted(self.workflow.fresh() & set(made.cached))
        return [f"{id} {self.workflow.nodes[id]['class_type']}" for id in left_out]

    async def close(self) -> None:
        await self.messages.close()
        await self.http.close()


def plain_text(text: str) -> str:
    """A text as it is meant: parentheses would be weights. Raises ``BadInput`` for what names a file of the server."""
    if "embedding:" in text:
        raise BadInput(f"prompt: 'embedding:' is a file's name to ComfyUI, and words to us: {text!r}")
    return text.replace("(", "\\(").replace(")", "\\)")
