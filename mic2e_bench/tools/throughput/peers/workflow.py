"""A ComfyUI workflow in the API format (JSON: node id to class and inputs), with names for inputs that are filled in.

``inputs: {prompt: "4.text", seed: "noise.noise_seed"}`` says node, by its id or its title, and input. A link is
``[id, number of the output]``.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.errors import BadInput, nearest, unknown
from mic2e_bench.tools.throughput.peers.work import NAMES, PICTURES

Nodes = dict[str, dict[str, Any]]
MOST_BYTES = 4 << 20
FRESH = ("prompt", *PICTURES, "seed")  # what a call changes, so that nothing of it is taken from the call before

LOADERS = {
    "UNETLoader": {"unet_name": "diffusion_models"},
    "DualCLIPLoader": {"clip_name1": "text_encoders", "clip_name2": "text_encoders"},
    "CLIPLoader": {"clip_name": "text_encoders"},
    "VAELoader": {"vae_name": "vae"},
    "CheckpointLoaderSimple": {"ckpt_name": "checkpoints"},
}


@dataclass(frozen=True)
class Workflow:
    """The nodes, and by each name the node's id and its input."""

    nodes: Nodes
    names: Mapping[str, tuple[str, str]]
    where: str

    @property
    def digest(self) -> str:
        """A hash of its content."""
        return hashlib.sha256(json.dumps(self.nodes, sort_keys=True).encode()).hexdigest()[:16]

    def filled(self, values: Mapping[str, Any]) -> Nodes:
        """The nodes with these values in the inputs that have names."""
        nodes = copy.deepcopy(self.nodes)
        for name, (node, key) in self.names.items():
            if name in values:
                nodes[node]["inputs"][key] = values[name]
        return nodes

    def fresh(self) -> set[str]:
        """The nodes that have to work in every call: those whose input a call changes, and all that they lead to."""
        found = {self.names[name][0] for name in FRESH if name in self.names}
        while more := {id for id, node in self.nodes.items() if id not in found and found & set(_sources(node))}:
            found |= more
        return found

    def weights(self) -> list[tuple[str, str]]:
        """The files of weights that it loads: the folder of models, and the name."""
        found = []
        for node in self.nodes.values():
            for key, folder in LOADERS.get(node["class_type"], {}).items():
                if isinstance(name := node["inputs"].get(key), str):
                    found.append((folder, name))
        return found

    def value(self, class_type: str, key: str) -> Any:
        """What the first node of a class has in an input; ``None`` where there is none, or a link."""
        found = [node["inputs"].get(key) for node in self.nodes.values() if node["class_type"] == class_type]
        return next((value for value in found if not isinstance(value, list)), None)


def read(path: Path, names: Mapping[str, Any], where: str) -> Workflow:
    """Read a workflow and find its named inputs. Raises ``BadInput``."""
    try:
        content = json.loads(files.read_bytes(path, MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{where}: workflow: {path} cannot be read: {error}") from None
    if isinstance(content, dict) and isinstance(content.get("nodes"), list):
        raise BadInput(f"{where}: workflow: {path} is of the editor's format: export it as API format (JSON).")
    if not isinstance(content, dict) or not content or not all(map(_is_node, content.values())):
        raise BadInput(f"{where}: workflow: {path} is no workflow in ComfyUI's API format (id: class_type, inputs).")
    nodes = {id: {"class_type": node["class_type"], "inputs": node["inputs"]} for id, node in content.items()}
    titles = {str(node.get("_meta", {}).get("title", "")): id for id, node in content.items()}
    found = {}
    for name, place in names.items():
        if name not in NAMES:
            raise unknown("input", name, NAMES, f"{where}: inputs")
        found[name] = _find(str(place), nodes, titles, f"{where}: inputs: {name}", path)
    if "seed" not in found:
        raise BadInput(f"{where}: inputs: seed is missing: which node and input of {path} is it, such as 3.seed?")
    for id, node in nodes.items():
        if dangling := [source for source in _sources(node) if source not in nodes]:
            raise BadInput(f"{where}: workflow: {path}: node {id} is linked to {dangling[0]}, which is not there.")
    return Workflow(nodes, found, where)


def _find(place: str, nodes: Nodes, titles: Mapping[str, str], where: str, path: Path) -> tuple[str, str]:
    node, _, key = place.rpartition(".")
    id = node if node in nodes else titles.get(node)
    if id is None or not node:
        known = [*nodes, *filter(None, titles)]
        raise BadInput(f"{where}: {path} has no node '{node}'.{nearest(node, known)} It has: {', '.join(known)}.")
    if key not in (there := nodes[id]["inputs"]):
        raise BadInput(f"{where}: node '{node}' has no input '{key}'.{nearest(key, there)} It has: {', '.join(there)}.")
    return id, key


def check(workflow: Workflow, known: Mapping[str, Any], url: str) -> None:
    """Raise ``BadInput`` where the server's ``/object_info`` lacks a node, an input that is needed, or a choice."""
    for id, node in workflow.nodes.items():
        place, name = f"{workflow.where}: workflow: node {id}", node["class_type"]
        about = known.get(name)
        if not isinstance(about, dict):
            raise unknown("node of the server at " + url, name, known, place)
        asked = _mapping(about.get("input"))
        needed, optional = (
            asked.get(kind) if isinstance(asked.get(kind), dict) else {} for kind in ("required", "optional")
        )
        if lacking := [key for key in needed if key not in node["inputs"]]:
            raise BadInput(f"{place} ({name}): the server needs its input '{lacking[0]}'.")
        filled = {key for other, key in workflow.names.values() if other == id}
        for key, value in node["inputs"].items():
            choices = _choices({**optional, **needed}.get(key))
            if choices and isinstance(value, str) and key not in filled and value not in choices:
                raise unknown(key, value, choices, f"{place} ({name}) on {url}")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _choices(about: Any) -> list[str]:
    """The values that an input may have, where it has a list of them: ``[[a, b], {}]`` or ``["COMBO", {options}]``."""
    if not isinstance(about, list) or not about:
        return []
    options = about[0]
    if options == "COMBO" and len(about) > 1 and isinstance(about[1], dict):
        options = about[1].get("options")
    return [one for one in options if isinstance(one, str)] if isinstance(options, list) else []


def _is_node(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and isinstance(node.get("class_type"), str)
        and isinstance(node.get("inputs"), dict)
        and isinstance(node.get("_meta", {}), dict)
    )


def _sources(node: Mapping[str, Any]) -> list[str]:
    """The ids of the nodes that a node's inputs are linked to."""
    return [str(value[0]) for value in node["inputs"].values() if isinstance(value, list) and len(value) == 2]
