"""README.md and docs/: every command parses, cheap ones run, the tutorial runs whole; links lead somewhere."""

import importlib.util
import re
import shlex
import shutil
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from helpers import ROOT, command, photos

import mic2e_bench
from mic2e_bench import cli
from mic2e_bench.plan import params
from mic2e_bench.records import ratios, record
from mic2e_bench.units import digits, gib

DOCS = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
LINKED = (*DOCS, "CONTRIBUTING.md", "BENCHMARKS.md", "results/evidence/README.md")
TUTORIAL = "docs/tutorial.md"
PROGRAM, THERE = ("mic2e-bench", ".venv/bin/mic2e-bench", "/tmp/w/bin/mic2e-bench"), "/tmp/w/code/"

EVIDENCE = "--results results/evidence/nvidia-h100-80gb-hbm3"
RUN_HERE = {  # with what is printed
    "mic2e-bench plan params/my-study.yaml": "to measure",
    "mic2e-bench plan params/full/presets-objectclear.yaml": "ULTRA_FAST",
    f"mic2e-bench recommend gpu-sdxl-inpaint {EVIDENCE} --prefer latency --max-vram 24GiB": "Best: compile=default",
    "mic2e-bench export BALANCED --pipeline objectclear": "from_pretrained",
    "mic2e-bench export LOW_MEMORY --as mic2e": "enable_model_cpu_offload",
}
NOT_RUN = {  # why, by how the line begins
    "make": "builds, or measures for minutes",
    ".venv/bin/mic2e-bench doctor": "tests/tools/test_doctor.py runs it",
    "mic2e-bench run params/": "measures for minutes, or needs a GPU or published weights",
    "mic2e-bench report params/": "measures for minutes",
    "mic2e-bench tune": "minutes; tests/tools/test_tune.py runs smaller ones",
    "mic2e-bench throughput": "minutes; tests/tools/throughput runs smaller ones",
    "mic2e-bench mincard": "needs a GPU",
    "mic2e-bench fit": "some seconds each; tests/tools/test_fit.py runs such",
    "mic2e-bench recommend objectclear-": "needs the records of `make demo` or of the study before it",
    "mic2e-bench export my-study/": "needs a record; the tutorial exports one",
    "mic2e-bench compare": "needs rounds of both sides; the tutorial compares one",
    "mic2e-bench bisect": "two environments and minutes; tests/tools/test_bisect.py has tiny ones",
    "mic2e-bench tables": "tests/tools/test_claims.py runs it; it would write into this checkout",
    "mic2e-bench pack": "minutes, and an index of packages; tests/tools/test_pack.py packs less",
    "mic2e-bench collect": "needs what another machine packed",
    "mic2e-bench lab": "a server; tests of the lab start it",
    "mic2e-bench reproduce": "measures; its own tests do",
    "mic2e-bench share": "its own tests do",
    "papermill": "tests/test_notebooks.py runs it",
    "python -m mic2e_bench.workshop.proof": "half an hour",
    "sh /tmp/pack/unpack.sh": "on another machine; tests/tools/test_pack.py unpacks",
    "/tmp/w/bin/mic2e-bench": "on another machine",
}


def blocks(page, language):
    """The fenced blocks of a page in that language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    return [text for name, text in found if name == language]


def commands(page):
    """The command lines of a page, without their comments."""
    lines = (re.sub(r"(^|\s+)# .*", "", line) for text in blocks(page, "bash") for line in text.splitlines())
    return [line for line in lines if line]


def every_command():
    return [(page, line) for page in DOCS for line in commands(page)]


def written(page):
    """The params files that a page tells the reader to write, with their content."""
    texts = [text for each in {page, "docs/studies.md", TUTORIAL} for text in blocks(each, "yaml")]
    named = {text.splitlines()[0].removeprefix("# "): text for text in texts}
    tutorial = next(text for text in blocks(TUTORIAL, "yaml") if text.startswith("study: first"))
    return {**{name: text for name, text in named.items() if name.endswith(".yaml")}, "first.yaml": tutorial}


def files(word, page):
    """What a word of a command names in this checkout, its pattern expanded; the word itself where it is no file."""
    name = word.removeprefix(THERE)
    if name in written(page) or not name.startswith(("params/", "notebooks/")):
        return [name]
    found = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(name))
    assert found, f"{page}: {word}: there is no such file"
    return found


@pytest.mark.parametrize(("page", "line"), every_command())
def test_a_command_is_one(page, line):
    """It parses, and the files, targets and modules that it names are there."""
    program, *words = shlex.split(line)
    if program in PROGRAM:
        words = [name for word in words for name in files(word, page)]
        cli.parser().parse_args(words)
    elif program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
        assert [word for word in words if not re.match(r"-C$|/|[A-Z]+=", word) and word not in targets] == []
    elif program == "python":
        assert words[0] == "-m" and importlib.util.find_spec(words[1])
    elif program == "papermill":
        assert files(words[0], page) and files(words[words.index("-f") + 1], page)
    else:
        assert line == "sh /tmp/pack/unpack.sh /tmp/w python3"


def test_every_command_is_run_or_has_its_reason():
    """A new command finds its place here; what has a place is still in a page."""
    lines = [line for page, line in every_command() if page != TUTORIAL]
    reasons = {line: next((key for key in NOT_RUN if line.startswith(key)), None) for line in lines}
    assert [line for line, key in reasons.items() if key is None and line not in RUN_HERE] == []
    assert set(RUN_HERE) <= set(lines) and set(NOT_RUN) == {*reasons.values()} - {None}


@pytest.fixture
def workbench(tmp_path, monkeypatch):
    """A folder as a reader has it, with the params files of the pages."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/evidence").symlink_to(ROOT / "results/evidence")
    for name, text in written("README.md").items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", RUN_HERE)
def test_what_is_cheap_runs(line, workbench, capsys):
    code, out, _ = command(capsys, *shlex.split(line)[1:])
    assert code == 0 and RUN_HERE[line] in out


def test_the_tutorial_runs(workbench, capsys):
    """All of it in order, on a smaller picture with one call each and a trial less: the others keep their labels."""
    pytest.importorskip("papermill")
    (planned,) = [block for block in blocks(TUTORIAL, "") if block.startswith("trial ") and "to measure" in block]
    code, out, _ = command(capsys, "plan", "first.yaml")
    assert code == 0 and set(planned.split()) <= set(out.split())  # the identities that the page prints
    content = yaml.safe_load((workbench / "first.yaml").read_text())
    pages = {trial.id: trial.label for trial in params.resolve_study(content).trials}
    content["baseline"]["resolution"], content["protocol"] = 64, {"warmup": 0, "repeats": 1, "seeds": [42]}
    content["inputs"], content["vary"] = photos(), {"steps": [4, 8]}
    (workbench / "first.yaml").write_text(yaml.safe_dump(content))
    ours = {trial.label: trial.id for trial in params.resolve_study(content).trials}
    said = {}
    for line in commands(TUTORIAL):
        words = [re.sub(r"[0-9a-f]{16}", lambda found: ours[pages[found[0]]], word) for word in shlex.split(line)[1:]]
        code, said[line], err = command(capsys, *words)
        assert code == 0, (line, said[line], err)
    outputs = iter(said.values())
    expected = (
        "to measure",
        "2 ok",
        "report.html",
        "Best: ",
        "from_pretrained",
        "steps: 4",
        "2 ok",
        "the same pictures",
    )
    for words, out in zip(expected, outputs, strict=True):
        assert words in out
    compile(list(said.values())[4], "exported.py", "exec")
    (lines,) = [text for text in blocks("docs/python.md", "python") if "load(" in text]
    here = {}
    exec(lines.replace("params/my-study.yaml", "first.yaml").replace("objectclear-steps", "first"), here)
    assert here["summary"].measured == 0 and len(here["frame"]) == 2  # the same identities: nothing is measured twice


@pytest.mark.parametrize("page", DOCS)
def test_python_in_a_page_compiles_and_names_what_there_is(page):
    """That of docs/python.md runs: in the tutorial's test, and in tests/tools/test_apply.py."""
    for text in blocks(page, "python"):
        compile(text, page, "exec")
        for name in re.findall(r"\bmic2e_bench\.(\w+)\(", text):
            assert callable(getattr(mic2e_bench, name))


@pytest.mark.parametrize("page", DOCS)
def test_yaml_in_a_page_is_a_study(page):
    for text in blocks(page, "yaml"):
        content = yaml.safe_load(text)
        if "pipeline" in content:
            assert params.resolve_study(content).trials
            continue
        for key, value in content["protocol"].items():  # a list of what there is: not all of it at once
            more = (
                {"interleave": True, "repeats": 8} if key == "builds" else {"repeats": 2} if key == "interleave" else {}
            )
            study = {"pipeline": "objectclear", "vary": {"steps": [2]}, "protocol": {**more, key: value}}
            assert params.resolve_study(study).trials


def test_keys_that_the_pages_explain_are_taken():
    best = re.search(r"`(ablate: .*?)` adds", (ROOT / "docs/studies.md").read_text())[1]
    assert params.resolve_study({"pipeline": "objectclear", **yaml.safe_load(best)}).trials


# ---- links


def slug(heading):
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("page", LINKED)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", (ROOT / page).read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = unquote(link).partition("#")
        if name.startswith(("http://", "https://")):
            continue
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert path.exists() and path.is_relative_to(ROOT), f"{page}: {link}"
        assert not anchor or anchor in anchors(path), f"{page}: {link}"


def test_pages_are_short_and_the_readme_leads_to_all():
    text = (ROOT / "README.md").read_text()
    assert [page for page in DOCS[1:] if page not in text] == []
    lengths = {page: len((ROOT / page).read_text().splitlines()) for page in DOCS if page != "docs/toggles.md"}
    assert [page for page, lines in lengths.items() if lines > 150] == []


def test_figures_of_the_readme_are_those_of_the_records():
    """Of each row: the memory, and either the seconds with a ratio that has no interval, or the ratio with its own."""
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.count("(results/evidence/") == 2]
    assert len(rows) >= 5
    for row in rows:
        one, plain = (record.read(ROOT / link) for link in re.findall(r"\((results/evidence/.*?\.json)\)", row))
        found = ratios.speedup(plain, one)
        peaks = [gib(each.memory["peak_vram_reserved_bytes"]) for each in (plain, one)]
        assert " → ".join(peaks) in row
        if "[" in row.split("|")[2]:
            base = record.read(ROOT / "results/evidence/nvidia-h100-80gb-hbm3/gpu-speed-ups/d9520757bb2b3f47.json")
            low, high = ratios.speedup(base, one).interval
            assert f"{digits(ratios.speedup(base, one).ratio)}× [{digits(low)}, {digits(high)}]" in row
            continue
        seconds = [digits(np.median(each.latency_s)) for each in (plain, one)]
        assert found.interval is None and "without an interval" in row and f"{seconds[0]} → {seconds[1]} s" in row
        assert "×" not in row or f"{digits(found.ratio)}× without" in row
