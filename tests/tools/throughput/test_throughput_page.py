"""Throughput studies in pages and in their notebook: every kind drawn, evidence too, and nothing of a record acts."""

import subprocess
import sys

import helpers
import numpy as np
import pytest

from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.report import papermill_run
from mic2e_bench.tools import verify
from mic2e_bench.tools.throughput import page, plots, record, study

SERVED = {"pipeline": "objectclear", "model": "bundled", "inputs": {"source": "bundled", "limit": 1}}
EVIL = "<script>alert(1)</script>"
DRAW = np.random.default_rng(0)


def batch_runs():
    rates = {(1, 1): 0.1, (2, 1): 0.12, (1, 2): 0.1}
    for (batch, in_flight), seconds in rates.items():
        for number in range(6):
            latency = (seconds * DRAW.normal(1, 0.02, 20)).tolist()
            row = {"batch": batch, "in_flight": in_flight, "run": number, "status": "ok", "latency_s": latency}
            yield {**row, "wall_s": sum(latency) / in_flight, "held_bytes": 1 << 20}


def life_run(starts):
    calls = 40
    held = (1e8 + 1e3 * DRAW.normal(size=calls)).tolist()
    latency = DRAW.normal(0.2, 0.01, calls).tolist()
    places = [{"at": at, "end_s": 0.1, "load_s": 0.5, "start_s": 0.7} for at in starts]
    return {"rss_bytes": held, "latency_s": latency, "service_s": latency, "starts": places, "died": []}


def model_run():
    return {
        "pipeline": ["a"] * 8,
        "latency_s": [0.1] * 7 + [2.0],
        "was_loaded": [True] * 7 + [False],
        "held_bytes": [9],
    }


def pool_runs():
    for load in (0.5, 0.8):
        for policy in ("random", "first_free"):
            for number in range(6):
                row = {"workers": 4, "policy": policy, "load": load, "run": number, "mean_waiting_s": 0.1}
                yield {**row, "p50_s": 0.1, "p95_s": 0.2 + load, "p99_s": 0.4 + load}


def peer_runs():
    for number in range(2):
        for side in ("ours", "theirs"):
            call = {"index": 0, "intended_s": 0.0, "sent_s": 0.0, "ended_s": 0.3, "service_s": 0.2, "status": "ok"}
            answers = {name: [value] for name, value in call.items()}
            yield {"side": side, "run": number, "answers": answers, "took_s": 0.3}


PEER = {"runs": list(peer_runs()), "server": {}, "unequal": [], "pictures": {}}
KINDS = {
    "throughput": [({"max_latency_s": 1.0}, {"runs": list(batch_runs())})],
    "life": [
        ({"restart_after": "never"}, {"runs": [life_run([0])]}),
        ({"restart_after": 10}, {"runs": [life_run([0, 10, 20, 30])]}),
    ],
    "models": [({"keep": "all"}, {"runs": [model_run()]}), ({"keep": 1}, {"runs": [model_run()]})],
    "peer": [({"server": "endpoint", "url": "http://127.0.0.1:1"}, PEER)],
    "pool": [({"simulated": True}, {"runs": list(pool_runs()), "simulated": True})],
}


def stored(results, kind, name="s", **changes):
    """Records of a kind as its studies leave them, with changes."""
    baseline = study.resolve({**SERVED, "kind": "life"}).study.baseline.content
    made = []
    for number, (asked, parts) in enumerate(KINDS[kind]):
        id = fingerprint({"kind": kind, "asked": asked, "trial": identifying(baseline)})
        content = {"kind": kind, "id": id, "study": name, "label": f"point {number}", "status": "ok", "reason": ""}
        content |= {"asked": asked, "trial": baseline, "environment": {"host": "h", "device": "a CPU"}, **parts}
        made.append(record.write(results, {**content, **changes}))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_has_the_answers_the_figures_and_the_stand_ins(kind, tmp_path):
    records = stored(tmp_path, kind)
    text = page.write("s", records, tmp_path).read_text()
    assert "stand-in: bundled stand-in model" in text and text.count("<svg ") == 1
    assert ("SIMULATED" in text) == (kind == "pool")
    found = verify.everything(tmp_path)
    assert found.records == len(records) and not found.problems


def test_a_page_is_older_than_a_record_that_changed(tmp_path):
    page.write("s", stored(tmp_path, "life"), tmp_path)
    stored(tmp_path, "life", reason="measured again")
    assert any("older than its records" in problem for problem in verify.everything(tmp_path).problems)


def test_sections_are_of_all_studies_and_of_evidence(tmp_path):
    stored(tmp_path, "life", "mine")
    stored(tmp_path / "evidence" / "card", "pool", "kept")
    sections, digests = page.sections(tmp_path)
    assert [section["name"] for section in sections] == ["mine", "evidence/card/kept"]
    assert len(digests) == 3 and all((tmp_path / name).is_file() for name in digests)


@pytest.mark.parametrize("runs", [[{}], [{"latency_s": "x", "starts": 3}], [{"rss_bytes": [EVIL], "starts": [{}]}]])
def test_runs_that_nobody_here_wrote_are_named(runs, tmp_path):
    (one, *_) = stored(tmp_path, "life", runs=runs, label=EVIL)
    text = page.html([one])
    assert "life: its records cannot be shown" in text and "<script>" not in text


def test_what_a_record_says_is_text(tmp_path):
    (one,) = stored(tmp_path, "pool", status="error", reason=EVIL, label=EVIL, environment={"host": EVIL})
    assert "<script>" not in page.html([one]) and "&lt;script&gt;" in page.html([one])


def test_unknown_kinds_and_models_are_said(tmp_path):
    (one,) = stored(tmp_path, "pool")
    unknown = record.ThroughputRecord.of({**one.raw, "kind": "nothing"})
    assert "nothing here knows the kind nothing" in page.html([unknown])
    content = {**one.raw, "trial": {"pipeline": "p", "model": {}, "settings": {}}}
    assert "cannot be shown" in page.html([record.ThroughputRecord.of(content)])


def test_a_study_without_runs_has_no_figure(tmp_path):
    assert list(plots.of(stored(tmp_path, "life", runs=[]))) == []


def test_the_notebook_under_papermill_shows_what_is_measured_already(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    given = {**SERVED, "study": "kept", "kind": "life", "life": {"calls": 40, "restart_after": ["never"], "cold": 1}}
    made = study.resolve(given)
    for point in made.points:
        content = {"kind": "life", "id": record.identity(made, point), "study": "kept", "label": point.label}
        content |= {"status": "ok", "reason": "", "asked": dict(point.asked), "trial": made.study.baseline.content}
        environment = {"host": "h", "device": "a CPU"}
        record.write(tmp_path, {**content, "environment": environment, "runs": [life_run([0])]})
    file, out = helpers.file(tmp_path / "kept.yaml", given), tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", str(helpers.ROOT / "notebooks" / "throughput.ipynb"), str(out)]
    with papermill_run.surroundings() as environment:
        words = ["-f", str(file), "-p", "results", str(tmp_path)]
        done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = [each for cell in nbformat.read(out, as_version=4).cells for each in cell.get("outputs", [])]
    assert "<svg " in "\n".join(each.data.get("text/html", "") for each in outputs if "data" in each)
