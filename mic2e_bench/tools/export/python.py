"""A Python file that loads a pipeline, puts the settings in force with plain library calls, and makes the image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mic2e_bench import texts
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.catalog.plain_code import Written, written_call
from mic2e_bench.catalog.toggle import Code, Phase
from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.errors import BadInput
from mic2e_bench.plan import inputs
from mic2e_bench.plan.settings import resolve
from mic2e_bench.tools.export.find import Chosen

STANDARD = ("gc", "hashlib", "io", "os", "pathlib")
PLACEHOLDERS = {"IMAGE": "image.png", "MASK": "mask.png", "PROMPT": "what to paint"}
FIELDS = {"IMAGE": "image", "MASK": "mask"}


def snippet(chosen: Chosen, input: str | None = None) -> str:
    """The file's text. ``input`` names one of the record's inputs (default: its first). Raises ``BadInput``."""
    pipeline, given = chosen.one()
    if pipeline.written is None:
        raise BadInput(f"export: there is no code for {pipeline.name}; use --as yaml, or mic2e_bench.apply.")
    settings = {**resolve(given, pipeline, "export"), "device": given.get("device", "auto")}
    if chosen.record:
        # a toggle younger than the record was at its default; the waiting was not
        settings = {**settings, "wait_policy": wait_policy.OLDER, **chosen.record.settings}
    written = pipeline.written(settings)
    source, arguments = _source(chosen, pipeline)
    constants, expected = _constants(chosen, pipeline, settings, written, input)
    codes, through_apply = _codes(settings, pipeline)
    first = texts.comment(f"{pipeline.name} with the settings of {chosen.name}, written by mic2e-bench export")
    parts = [
        f"{first}\n{texts.comment(chosen.about)}" if chosen.about else first,
        *(code.first for code in codes.values()),
        _imports(pipeline, written, codes, bool(through_apply), bool(expected)),
        "\n".join(f"{name} = {texts.literal(value)}" for name, value in {"SOURCE": source, **constants}.items()),
        written.functions.strip("\n"),
        _loaded(pipeline, written, codes, arguments, settings, through_apply),
        _called(written, codes, bool(through_apply)),
        _saved(expected),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _source(chosen: Chosen, pipeline: Pipeline) -> tuple[str, dict[str, str]]:
    if not chosen.record:
        return pipeline.hub, {}
    model = chosen.record.model
    if model["source"] == "random":
        raise BadInput("export: this trial has random weights, which no plain code makes: use --as yaml.")
    if model["source"] == "bundled" and sources.resolve("bundled", pipeline, "export") != dict(model):
        raise BadInput("export: this trial was measured with other bundled weights: use --as yaml.")
    return sources.location(model, pipeline)


def _constants(
    chosen: Chosen, pipeline: Pipeline, settings: Mapping[str, Any], written: Written, input: str | None
) -> tuple[dict[str, Any], str]:
    """What the file names at its top, and the hash of the record's image."""
    if not chosen.record:
        return {**{name: PLACEHOLDERS[name] for name in written.needs}, "SEED": 42}, ""
    items = chosen.record.inputs["items"]
    name = input or next(iter(items), None)
    if name not in items:
        raise BadInput(f"export: the record has no input '{name or ''}'. It has: {', '.join(items) or 'none'}.")
    try:
        files = inputs.answers(chosen.record.inputs, name)
    except OSError as error:
        raise BadInput(f"export: the record's inputs cannot be read: {error.filename}: {error.strerror}.") from None
    seed = (chosen.record.protocol.get("seeds") or [42])[0]
    texts_of = {"PROMPT": items[name].get("caption", items[name].get("prompt"))}
    if pipeline.task == "segmentation":
        texts_of = {"PROMPT": items[name].get(settings["prompt_kind"])}
    found = {key: texts_of.get(key) or files.get(FIELDS.get(key)) for key in written.needs}
    if lacking := [key.lower() for key, value in found.items() if value is None]:
        raise BadInput(f"export: the record's input '{name}' has no {', '.join(lacking)} any more.")
    found = {key: str(value) if isinstance(value, Path) else value for key, value in found.items()}
    images = [one for one in chosen.record.images if one["input"] == name and one["seed"] == seed]
    return {**found, "SEED": seed}, images[0]["sha256"] if images else ""


def _codes(settings: Mapping[str, Any], pipeline: Pipeline) -> tuple[dict[str, Code], dict[str, Any]]:
    """The code of every setting, in the order of application, and the settings that ``apply`` must put in force."""
    codes, through_apply = {}, {}
    for name, toggle in registry.toggles_of(pipeline).items():
        if toggle.code and (made := toggle.code(settings[name], settings, pipeline)) is not None:
            codes[name] = made
        elif settings[name] != toggle.default:
            through_apply[name] = settings[name]
    return codes, through_apply


def _imports(pipeline: Pipeline, written: Written, codes: Mapping[str, Code], applies: bool, hashes: bool) -> str:
    own = f"from {pipeline.class_path.rpartition('.')[0]} import {pipeline.class_name}"
    own += f"  # {written.remark}" if written.remark else ""
    wanted = {own, *written.imports, *(line for code in codes.values() for line in code.imports)}
    wanted |= {"import mic2e_bench"} if applies else set()
    wanted |= {"import hashlib"} if hashes else set()
    standard = [line for line in wanted if line.split()[1] in STANDARD]
    others = [line for line in wanted if line not in standard]
    key = lambda line: (line.startswith("from"), line)  # noqa: E731
    return "\n\n".join("\n".join(sorted(lines, key=key)) for lines in (standard, others) if lines)


def _lines(codes: Mapping[str, Code], first: Phase, last: Phase) -> list[str]:
    known = registry.toggles()
    return [code.lines for name, code in codes.items() if code.lines and first <= known[name].phase <= last]


def _loaded(
    pipeline: Pipeline,
    written: Written,
    codes: Mapping[str, Code],
    given: Mapping[str, str],
    settings: Mapping[str, Any],
    through_apply: Mapping[str, Any],
) -> str:
    arguments = ["SOURCE", *(code.load for code in codes.values() if code.load)]
    named = {**given, **pipeline.options}
    arguments += [*(f"{name}={texts.literal(value)}" for name, value in named.items()), *written.options]
    lines = _lines(codes, Phase.LOAD, Phase.LOAD)
    if settings.get("process") == "per_call":
        lines.append("# process per_call: run this file anew for every call")
    lines.append(f"pipe = {written_call(written.load or f'{pipeline.class_name}.from_pretrained', arguments)}")
    lines += _lines(codes, Phase.MODIFY, Phase.MODIFY)
    if through_apply:
        # quantising depends on the device, and the placing comes after it
        placing = {"device": "cpu", "offload": "none"}
        placed = {name: settings[name] for name, plain in placing.items() if settings.get(name, plain) != plain}
        at_once = {**through_apply, **placed}
        lines += ["# no plain form of the library's own: put in force by the workbench, as it was measured"]
        lines += [f"applied = mic2e_bench.apply(pipe, {at_once!r})"]
        codes = {name: code for name, code in codes.items() if name not in at_once}
    return "\n".join([*lines, *_lines(codes, Phase.PLACE, Phase.CALL)])


def _called(written: Written, codes: Mapping[str, Code], applies: bool) -> str:
    call = written.call
    if applies and call.endswith("\n)"):
        call = f"{call.removesuffix(')')}    **applied.call,\n)"
    arounds = [code.around for code in codes.values() if code.around] + (["applied.around()"] if applies else [])
    lines = [f"result = {call}", *(code.after for code in codes.values() if code.after)]
    text = "\n".join(lines)
    if arounds:
        inner = "\n".join(f"    {line}" for line in f"result = {call}".splitlines())
        text = "\n".join([f"with {', '.join(arounds)}:", inner, *lines[1:]])
    return "\n".join([written.prepare, text, written.after])


def _saved(expected: str) -> str:
    lines = ["for index, picture in enumerate(pictures):", '    picture.save(f"picture-{index}.png", compress_level=1)']
    if expected:
        lines += [
            'with open("picture-0.png", "rb") as file:',
            "    sha256 = hashlib.sha256(file.read()).hexdigest()",
            f"EXPECTED = {texts.literal(expected)}  # of the record, on the machine that measured it",
            'print("the image of the record" if sha256 == EXPECTED else f"another image: {sha256}")',
        ]
    return "\n".join(lines)
