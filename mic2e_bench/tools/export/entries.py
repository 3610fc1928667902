"""Settings as an entry of params/presets.yaml, and as the fields of the inference service."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

from mic2e_bench import documents, texts
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import TASKS, Pipeline
from mic2e_bench.catalog.toggles.backends.attention import SERVICE
from mic2e_bench.errors import BadInput
from mic2e_bench.plan.settings import resolve, show
from mic2e_bench.tools.export.find import Chosen

# the fields of the service's dataclass that are of all its pipelines together
FLAGS = {
    "enable_attention_slicing": ("attention", lambda value: value.startswith("sliced") or value == SERVICE),
    "enable_xformers": ("attention", lambda value: value.startswith("xformers")),
    "enable_model_cpu_offload": ("offload", lambda value: value == "model"),
    "enable_sequential_cpu_offload": ("offload", lambda value: value == "sequential"),
    "use_fp16": ("precision", lambda value: value == "fp16"),
    "use_8bit_quantization": ("quantize", lambda value: value == "bnb-int8"),
    "use_4bit_quantization": ("quantize", lambda value: value == "bnb-nf4"),
    "low_cpu_mem_usage": ("low_cpu_mem_usage", bool),
}
# what the flags can say of the settings that they speak of; the rest has no field
SAID = {
    "attention": ("native", "sliced:auto", "xformers", "xformers-else-sliced"),
    "offload": ("none", "model", "sequential"),
    "precision": ("fp32", "fp16"),
    "quantize": ("none", "bnb-int8", "bnb-nf4"),
    "low_cpu_mem_usage": (True, False),
}


def entry(chosen: Chosen) -> dict[str, dict[str, Any]]:
    """``{NAME: {"about", pipeline: settings}}``, which reads back to the same settings."""
    made: dict[str, Any] = {"about": chosen.about} if chosen.about else {}
    for name, given in chosen.settings.items():
        made[name] = {key: show(value) if isinstance(value, list) else value for key, value in given.items()}
    return {chosen.name: made}


def as_yaml(chosen: Chosen) -> str:
    """To be pasted into params/presets.yaml."""
    made, how = entry(chosen), {"width": 120, "default_flow_style": None}
    text = documents.as_yaml(made, allow_unicode=True, **how)
    if text != texts.plain(text):  # with escapes, which read back to the same
        text = documents.as_yaml(made, allow_unicode=False, **how)
    return text.rstrip("\n")


def as_json(chosen: Chosen) -> str:
    """The same as JSON, which a YAML file may hold too."""
    text = json.dumps(entry(chosen), indent=2, ensure_ascii=False)
    return text if text == texts.plain(text) else json.dumps(entry(chosen), indent=2)


def as_mic2e(chosen: Chosen) -> str:
    """Keyword arguments for the service's dataclass, and what it has no field for. Raises ``BadInput``."""
    known = sorted(registry.pipelines().values(), key=lambda pipeline: TASKS.index(pipeline.task))
    known = [pipeline for pipeline in known if pipeline.service is not None]
    served = [pipeline for pipeline in known if pipeline.name in chosen.settings]
    if not served:
        spoken, names = ", ".join(chosen.settings), ", ".join(pipeline.name for pipeline in known)
        raise BadInput(f"export: {chosen.name} speaks of {spoken}; the service's fields are of {names}.")
    fields: dict[str, Any] = {}
    remarks: list[str] = []
    flags: dict[str, tuple[str, bool]] = {}
    for pipeline in served:
        name, given = pipeline.name, chosen.settings[pipeline.name]
        settings = resolve(given, pipeline, "export")
        for key, field in pipeline.service.items():
            fields |= {field: settings[key]} if isinstance(field, str) else zip(field, settings[key], strict=True)
        remarks += _without_field(pipeline, given)
        for field, (key, read) in FLAGS.items():
            if key in settings:
                owner, value = flags.setdefault(field, (name, read(settings[key])))
                # a segmenter has no attention to choose, so it says nothing against the others'
                if value != read(settings[key]) and not (pipeline.family == "segmenter" and key == "attention"):
                    remarks.append(f"{field} is {value}, as {owner} has it; {name} would have {not value}")
    fields |= {field: value for field, (_, value) in flags.items()}
    return _call(chosen, fields, remarks)


def _without_field(pipeline: Pipeline, given: Mapping[str, Any]) -> list[str]:
    """Settings that the service's dataclass cannot say."""
    missing = [
        f"{key} {show(value)}"
        for key, value in given.items()
        if key not in pipeline.service and not (key in SAID and value in SAID[key]) and key not in ("device", "threads")
    ]
    return [f"no field for {pipeline.name}'s {', '.join(missing)}"] if missing else []


def _variable(name: str) -> str:
    """A preset's name as one that Python takes."""
    made = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{made}" if made[:1].isdigit() or not made or keyword.iskeyword(made) else made


def _call(chosen: Chosen, fields: Mapping[str, Any], remarks: list[str]) -> str:
    lines = [texts.comment(f"{chosen.name}: {chosen.about}".rstrip(": "))]
    lines += [texts.comment(remark) for remark in remarks]
    lines += [f"{_variable(chosen.name)} = dict(", *(f"    {field}={value!r}," for field, value in fields.items()), ")"]
    return "\n".join([*lines, "# the fields of the service's dataclass: give them as keyword arguments, or set them"])
