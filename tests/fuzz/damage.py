"""Cases: the good files with something wrong in them, in their structure or in their bytes, and odd command lines."""

from __future__ import annotations

import copy
import io
import json
import struct
import zlib
from typing import Any

from hypothesis import strategies as st
from PIL import Image
from world import STUDY, Case

from mic2e_bench import documents

LONG = "x" * 5000
# what a document may hold in the place of something else: every type, both ends of each, and texts that are not plain
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 64, 1000, 2**31, 2**63, -(2**63), 10**29, 10**400, 0.5, -0.0, 1e-300, 1e300,
    float("inf"), float("-inf"), float("nan"), "", " ", "0", "1e3", "010", "0x10", "1_000", "1:30", "٣", "²", "nan",
    "-inf",
    "yes", "no", "on", "off", "y", "n", "null", "~", ".inf", "2026-01-01", "2020-99-99", "=", "<<", "*a", "&a", "!x",
    "- a",
    "a: b", "#", "{", "[", "'", '"', "\\", "\n", "\t", "a\nb", "a\0b", "\x1b[31m", "\u202e", "\ufeff", "\u2028", "ä",
        "漢字", "🎨",
    "cafe\u0301", "\ud800", LONG, "../../outside/private.png", "../outside", "/etc/passwd", "/dev/zero", "~/x",
    "~nobody/x",
    "a/b", "..", ".", "-", "--results", "con", "<script>alert(1)</script>", "${HOME}", "$(id)", "%s%n", "{0}", "{}",
    "bundled", "random", "published", "owner/name", "baseline", "best", "bf16", "512x768", "64x", "x",
    "sliced:99999999",
    "first-block:nan", "first-block:1e9", "pab:0", "pab:²", "BALANCED", "s", "evidence", "lpips", "path", "device",
    [], [[]], [None], [1, 1, 1], ["a", "a"], [[1, 2], [3]], list(range(2000)), [{}], [float("nan")], ["001", "001"],
    {}, {"": {}}, {"a": 1}, {"steps": 1}, {"steps": [1]}, {"steps": {}}, {"steps": float("nan")}, {"device": "cuda"},
    {"source": "in"}, {"source": "in", "limit": 10**9}, {"until": 0.5}, {"best": {"steps": 1}}, {"path": "x"},
    {"label": []},
]  # fmt: skip
# YAML that no dumper writes
RAW = [
    "&a [*a]", "*nowhere", "&a {<<: *a}", "{<<: [1]}", "{<<: {a: 1}, a: 2}", "{a: 1, a: 2}", "!!set {a, b}",
    "!!omap [a: 1]",
    "!!pairs [a: 1]", "!!binary aGVsbG8=", "!!timestamp 2026-01-01", "!!int abc", "!!int 0b1", "!!float x",
    "!!bool maybe",
    "!!null x", "!!str 12", "!!python/object/apply:os.system [id]", "!x y", "? [a]", "? {a: b}\n  : c", "0o17",
    "0b11", "1_0",
    "190:20:30", "2001-12-14t21:59:43.10-05:00", "'\\ud800'", '"\\ud800"', '"\\ud83d\\ude00"', '"\\0"', '"\\e[2J"',
        "|\n  a\n  b",
    ">\n  a", "@x", "`x", "%x", "[1, 2", "{a: 1", "'a", "--- a", "...", "[" * 60 + "]" * 60, "[" * 3000, "9" * 5000,
    "0." + "9" * 5000, "1e999999", "-.inf", ".NaN", "\ta", "a\t: b", "[,]", "[a, , b]", "{,}", "- - - a", "a: b: c",
    "!!map []",
    "!!seq {}", "*", "&", "!", "|", ">", "-", ":", "?", "\u2028", "\x85", "\ufeff", "\x07",
    "[&l [a, a, a, a, a, a, a, a, a], &m [*l, *l, *l, *l, *l, *l, *l, *l, *l], &n [*m, *m, *m, *m, *m, *m, *m, *m], "
    "&o [*n, *n, *n, *n, *n, *n, *n, *n, *n], [*o, *o, *o, *o, *o, *o, *o, *o, *o]]",
]  # fmt: skip
RAW_JSON = [
    "NaN", "Infinity", "-Infinity", "1e999", "-0", "9" * 5000, "0." + "1" * 5000, "[" * 60 + "]" * 60, "[" * 100000,
        '"\\ud800"',
    '"\\u0000"', "{", "]", "nul", "'a'", "01", "+1", "1.", ".5", '"a', '{"a": 1, "a": 2}', "", "\t", "\x00", "//",
    "{}", "[]",
]  # fmt: skip
MARK = "replaced-by-raw-text-"


def _places(value: Any, at: tuple = ()) -> list[tuple]:
    """The paths of everything in a document but itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in ((*at, key), *_places(inner, (*at, key)))]


@st.composite
def documents_of(draw: Any, good: Any, raw: list[str]) -> tuple[Any, dict[str, str]]:
    """A document with one to three changes in its structure, and the raw texts that stand for marks in it."""
    made, marks = copy.deepcopy(good), {}
    for number in range(draw(st.integers(1, 3))):
        places = _places(made)
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        holder = made
        for key in parents:
            holder = holder[key]
        way = draw(st.sampled_from(("value", "value", "value", "raw", "gone", "key", "near", "wrapped", "twice")))
        if way == "value":
            holder[last] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif way == "raw":
            holder[last] = f"{MARK}{number}"
            marks[f"{MARK}{number}"] = draw(st.sampled_from(raw))
        elif way == "gone":
            del holder[last]
        elif way == "key":
            if isinstance(holder, dict):
                holder[draw(st.sampled_from([str(one) for one in VALUES if isinstance(one, (str, int))]))] = holder.pop(
                    last
                )
        elif way == "near":
            holder[last] = draw(_near(holder[last]))
        elif way == "wrapped":
            holder[last] = draw(st.sampled_from(([holder[last]], {"a": holder[last]}, {last: holder[last]})))
        elif isinstance(holder[last], list):
            holder[last] = holder[last] * draw(st.sampled_from((2, 100)))
        else:
            holder[last] = [holder[last], holder[last]]
    return made, marks


def _near(value: Any) -> st.SearchStrategy:
    """Something of the type that is there."""
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int):
        return st.integers(-10, 10**6)
    if isinstance(value, float):
        return st.floats()
    if isinstance(value, str):
        return st.text(max_size=30) | st.just(value.upper()) | st.just(f" {value} ")
    return st.just(value)


@st.composite
def bytes_of(draw: Any, content: bytes) -> bytes:
    """Bytes with damage: cut, flipped, doubled, in another encoding, with what does not belong there."""
    way = draw(
        st.sampled_from(
            ("as it is", "as it is", "cut", "flip", "insert", "twice", "utf-16", "bom", "crlf", "nul", "tabs")
        )
    )
    at = draw(st.integers(0, max(0, len(content) - 1)))
    if way == "cut":
        return content[:at]
    if way == "flip" and content:
        return content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
    if way == "insert":
        odd = (
            b"\0",
            b"\xff",
            b"\xed\xa0\x80",
            b"\t",
            b"&a ",
            b"*a ",
            b": ",
            b"- ",
            b"\n---\n",
            b"#",
            b"\xef\xbb\xbf",
            b"[" * 99,
        )
        return content[:at] + draw(st.sampled_from(odd)) + content[at:]
    if way == "utf-16":
        return content.decode(errors="replace").encode("utf-16")
    return {
        "twice": content + b"\n---\n" + content, "bom": b"\xef\xbb\xbf" + content, "crlf": content.replace(b"\n",
            b"\r\n"),
        "nul": content + b"\0", "tabs": content.replace(b"  ", b"\t"),
    }.get(way, content)  # fmt: skip


@st.composite
def yaml_bytes(draw: Any, good: Any) -> bytes:
    made, marks = draw(documents_of(good, RAW))
    try:
        text = documents.as_yaml(made, allow_unicode=True)
    except ValueError:  # a whole number that Python does not write
        text = documents.as_yaml(good)
    for mark, raw in marks.items():
        text = text.replace(mark, raw)
    return draw(bytes_of(text.encode(errors="surrogatepass")))


@st.composite
def json_bytes(draw: Any, good: Any) -> bytes:
    made, marks = draw(documents_of(good, RAW_JSON))
    try:
        text = json.dumps(made)
    except ValueError:
        text = json.dumps(good)
    for mark, raw in marks.items():
        text = text.replace(f'"{mark}"', raw)
    return draw(bytes_of(text.encode()))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@st.composite
def picture_bytes(draw: Any, size: tuple[int, int]) -> bytes:
    """A picture of every mode and format, whole or damaged; one whose header promises more than it holds."""
    width, height = draw(st.sampled_from((size, size, size, (1, 1), (1, 4000), (48, 64), (2000, 1))))
    if draw(st.integers(0, 7)) == 0:
        sides = draw(st.sampled_from(((2**31 - 1, 1), (60000, 60000), (0, 5), (20000, 20000), size)))
        head = struct.pack(
            ">IIBBBBB", *sides, draw(st.sampled_from((1, 8, 16))), draw(st.sampled_from((0, 2, 3, 4, 6))), 0, 0, 0
        )
        return (
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", head)
            + _chunk(b"IDAT", zlib.compress(bytes(1000)))
            + _chunk(b"IEND", b"")
        )
    mode = draw(st.sampled_from(("RGB", "L", "1", "P", "LA", "RGBA", "I", "I;16", "F", "CMYK", "YCbCr")))
    image = Image.new(mode, (width, height), draw(st.sampled_from((0, 1))) if mode not in ("RGBA", "LA") else None)
    form = draw(st.sampled_from(("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM")))
    file = io.BytesIO()
    try:
        more = (
            {"save_all": True, "append_images": [image, image]}
            if draw(st.booleans()) and form in ("GIF", "PNG")
            else {}
        )
        image.save(file, form, **more)
    except (OSError, ValueError, KeyError):
        image.convert("RGB").save(file, "PNG")
    return draw(bytes_of(file.getvalue()))


WORDS = ["", " ", "0", "-1", "1", "1e3", "nan", "inf", "-inf", "٣", "²", "1_000", "0x10", "1e400", "9" * 5000, "4",
         "4s", "0s", "-4s",
         "1e400s", "nans", "4 s", "4S", "4 parsecs", "10GiB", "0B", "85%", "101%", "-1%", "%", "s", "~", "~/x",
         "~nobody/y", "-", "--",
         ".", "..", "/", "/dev/zero", "/dev/null", "/dev/stdin", "/proc/self/mem", "study.yaml", "in", "in/001.png",
         "results", "params",
         "results/s", "nowhere.yaml", "x" * 300, "a\0b", "\udcff", "ä", "🎨", "a\nb", "\x1b[31m", "$(id)", "*", "{}",
             "[1", "sdxl-inpaint",
         "objectclear", "sam3", "BALANCED", "ULTRAFAST", "latency", "lpips", "psnr", "quality", "latency>5%",
         "quality<-1%", "latency>nan%",
         "latency>9" + "9" * 400 + "%", "python", "yaml", "json", "mic2e", "true", "null", "steps=1", "steps", "=",
         "a=b=c", "evidence/x",
         "../outside", "s/..", "s/../../outside/private"]  # fmt: skip
CHANGES = ["study=", "study=010", "study=null", "inputs=in", "inputs.names=[001]", "inputs.limit=0",
           "inputs.limit=1e3", "baseline.steps=",
           "baseline.steps=9999999", "protocol.seeds=[1e3]", "protocol.repeats=" + "9" * 5000, "vary=[1",
               "vary.steps=[1]", "a.b.c.d=1",
           "vary={steps: [&a 1, *a]}", ".=1", "..=1", "=1", "study", "model=~", "model=../outside",
           "baseline=LOW_MEMORY", "trials=[]",
           "protocol={}", "protocol.cost=yes", "metrics=[[a]]", "vary.steps=" + str(list(range(1, 900)))]  # fmt: skip
OPTIONS = {
    "plan": ("--set", "--results"), "list": ("--results",), "verify": ("--results", "--quiet"), "tables": ("--check",
        "--results", "--mixed"),
    "recommend": ("--max-latency", "--max-vram", "--max-memory", "--min-quality", "--metric", "--prefer", "--json",
        "--results"),
    "export": ("--as", "--pipeline", "--input", "--results"),
    "compare": ("--fail-on", "--across-machines", "--strict-inconclusive"),
    "tune": ("--budget", "--patience", "--finalists", "--max-latency", "--min-quality", "--set"),
    "run": ("--set", "--budget", "--part", "--results"), "mincard": ("--lable",), "fit": ("--vrm",), "pack": ("--too",),
}  # fmt: skip
USUAL = {"plan": ["study.yaml"], "list": ["presets"], "recommend": ["s"], "export": ["BALANCED"],
    "compare": ["results", "results/s"],
         "tune": ["study.yaml", "--dry-run"], "run": ["study.yaml", "--dry-run"]}  # fmt: skip


@st.composite
def command_lines(draw: Any) -> Case:
    """A command with options and words that may make no sense; nothing that would be measured."""
    command = draw(st.sampled_from(sorted(OPTIONS)))
    given = list(USUAL.get(command, ()))
    for _ in range(draw(st.integers(1, 3))):
        option = draw(st.sampled_from((*OPTIONS[command], "", "")))
        word = draw(st.sampled_from(CHANGES if option == "--set" else WORDS) | st.text(max_size=8))
        if not option:
            at = draw(st.integers(0, len(given)))
            given[at : at + draw(st.integers(0, 1))] = [word]
        else:
            given += draw(st.sampled_from(([option, word], [f"{option}={word}"], [option])))
    if command in ("tune", "run") and "--dry-run" not in given:
        given.append("--dry-run")
    if command == "fit":  # else it builds what it is asked for, which takes libraries and time
        given += ["--settings", "nothing"]
    return Case("arguments", (command, *given))


def cases(good: dict[str, Any]) -> dict[str, st.SearchStrategy]:
    """A strategy for each kind of input. ``good`` are the documents that ``world.build`` returned."""
    records = [name for name in good if name.startswith("results/")]
    reading = [("plan", "study.yaml"), ("tune", "study.yaml", "--dry-run"), ("run", "study.yaml", "--dry-run")]
    looking = [("recommend", "s"), ("recommend", "study.yaml", "--json"), ("verify",), ("plan", "study.yaml"),
               ("list", "toggles"),
               ("figures", "study.yaml"), ("compare", "results", "results/s"), ("tables", "--check"),
               *(("export", f"s/{name.rpartition('/')[2].removesuffix('.json')}") for name in records)]  # fmt: skip
    studies = [STUDY, {**STUDY, "vary": None, "trials": [{"steps": 3, "label": "three"}]}, {**STUDY, "vary": None,
               "presets": ["BALANCED"]},
               {**STUDY, "vary": None, "ablate": {"best": {"steps": 1, "precision": "bf16"}, "pairs": True}},
               {**STUDY, "vary": None, "space": {"steps": [1, 2], "attention": ["native", {"sliced": [1, 2]}]}},
               {**STUDY, "inputs": "bundled", "model": "bundled"}, {**STUDY, "pipeline": "sam3", "metrics": ["iou"],
                   "vary": None}]  # fmt: skip
    odd_files = st.sampled_from(
        ("link {world}/../outside/private.png", "link /dev/zero", "link nowhere", "pipe", "folder", "gone", b"")
    )
    places = ["in/001.png", "in/scene.png", "in/001.mask.png", "in/scene.mask.png", "in/002.png", "in/._001.png",
              "in/001.jpg",
              "in/scene.truth.png", "in/path.png", "in/\u202e.png", "in/cafe\u0301.png", "in/.png"]  # fmt: skip
    return {
        "params": st.builds(
            lambda command, content: Case("params", command, {"study.yaml": content}),
            st.sampled_from(reading), st.sampled_from(studies).flatmap(yaml_bytes) | odd_files,
        ),
        "prompts": st.builds(
            lambda content: Case("prompts", ("plan", "study.yaml"), {"in/prompts.yaml": content}),
            yaml_bytes(good["in/prompts.yaml"]) | odd_files,
        ),
        "presets": st.builds(
            lambda command, content: Case("presets", command, {"params/presets.yaml": content}),
            st.sampled_from([("list", "presets"), ("export", "BALANCED"), ("plan", "study.yaml", "--set",
                "baseline=BALANCED"),
                             ("export", "params/presets.yaml", "--pipeline", "objectclear")]),
            yaml_bytes(good["params/presets.yaml"]) | odd_files,
        ),
        "records": st.builds(
            lambda command, name, content: Case("records", command, {name: content}),
            st.sampled_from(looking), st.sampled_from(records),
            st.sampled_from([good[name] for name in records]).flatmap(json_bytes) | odd_files,
        ),
        "pictures": st.builds(
            lambda command, name, content: Case("pictures", command, {name: content}),
            st.sampled_from([("plan", "study.yaml"), ("figures", "study.yaml")]), st.sampled_from(places),
            picture_bytes((64, 48)) | picture_bytes((65, 48)) | odd_files,
        ),
        "arguments": command_lines(),
    }  # fmt: skip
