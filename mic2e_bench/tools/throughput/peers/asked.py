"""What ``peer:`` of a params file asks for: which server, how it is spoken to, how much is sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mic2e_bench import paths, units
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.plan.params import Study
from mic2e_bench.tools.throughput.kind import Point
from mic2e_bench.tools.throughput.peers import workflow
from mic2e_bench.tools.throughput.peers.comfyui import ComfyUI
from mic2e_bench.tools.throughput.peers.endpoint import Endpoint, Form
from mic2e_bench.tools.throughput.peers.http import address

SHARED = ("server", "url", "runs", "calls", "clients", "rate")
OWN = {
    "comfyui": ("workflow", "inputs"),
    "endpoint": ("send", "fields", "constant", "pictures", "answer", "seconds"),
}
PORTS = {"comfyui": 8188, "endpoint": 8000}
MOST_RUNS, MOST_CALLS, MOST_CLIENTS = 48, 1000, 64


def points(asked: Mapping[str, Any], study: Study, where: str) -> list[Point]:
    """One point for each number of clients, or for the rate of arrivals. Raises ``BadInput``."""
    server = asked.get("server", "comfyui")
    if server not in OWN:
        raise unknown("server", server, OWN, where)
    for key in asked:
        if key not in (*SHARED, *OWN[server]):
            raise unknown("key", key, (*SHARED, *OWN[server]), where)
    content = {"server": server, "url": address(asked.get("url"), PORTS[server], where)}
    content["runs"] = units.whole(asked.get("runs", 6), 1, MOST_RUNS, f"{where}: runs")
    content["calls"] = units.whole(asked.get("calls", 5), 1, MOST_CALLS, f"{where}: calls")
    content |= _comfyui(asked, where) if server == "comfyui" else _endpoint(asked, where)
    if (rate := asked.get("rate")) is not None:
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= 1e4:
            raise BadInput(f"{where}: rate: {rate!r} is no number of requests a second, such as 0.5.")
        if "clients" in asked:
            raise BadInput(f"{where}: rate and clients: requests arrive by themselves, or from clients. Take one away.")
        return [Point(f"{server}, {rate:g} requests/s", {**content, "rate": float(rate)})]
    clients = asked.get("clients", [1])
    clients = clients if isinstance(clients, list) else [clients]
    counts = [units.whole(count, 1, MOST_CLIENTS, f"{where}: clients") for count in clients]
    return [Point(f"{server}, clients: {count}", {**content, "clients": count}) for count in counts]


def _comfyui(asked: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = asked.get("inputs", {})
    if not isinstance(asked.get("workflow"), str) or not isinstance(names, Mapping):
        raise BadInput(f"{where}: workflow: name a file in ComfyUI's API format, and under inputs what goes where.")
    found = workflow.read(paths.find(asked["workflow"], where), names, where)
    return {"workflow": found.nodes, "inputs": {name: list(place) for name, place in found.names.items()}}


def _endpoint(asked: Mapping[str, Any], where: str) -> dict[str, Any]:
    if "url" not in asked:
        raise BadInput(f"{where}: url is missing: which address is asked, such as http://127.0.0.1:8000/inpaint?")
    Form.of(asked, where)
    return {key: asked[key] for key in OWN["endpoint"] if key in asked}


def client(asked: Mapping[str, Any], timeout_s: float) -> ComfyUI | Endpoint:
    """The client that a point asks for. Raises ``BadInput`` without the extra."""
    if asked["server"] == "endpoint":
        return Endpoint(asked["url"], Form.of(asked, "peer"), timeout_s)
    return ComfyUI(asked["url"], flow_of(asked), timeout_s)


def flow_of(asked: Mapping[str, Any]) -> workflow.Workflow:
    """The workflow of a point."""
    return workflow.Workflow(asked["workflow"], {name: tuple(at) for name, at in asked["inputs"].items()}, "peer")
