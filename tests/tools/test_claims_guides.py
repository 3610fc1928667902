"""The guides' figures, each in a cell; the commands that answer; the score; the words that tell no-answers apart."""

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml
from claiming import ORIGINAL, put, scored
from helpers import command

from mic2e_bench.errors import BadInput
from mic2e_bench.plan import params
from mic2e_bench.records import record
from mic2e_bench.tools.claims import answers, claims_file, guides_file, judge, publish, score, verdicts
from mic2e_bench.tools.claims.lacking import needs_gpu
from mic2e_bench.tools.claims.stored import Stored

FIGURES = yaml.safe_load((Path(__file__).parent / "guides_figures.yaml").read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The tables of no records: every cell, and every reason for no answer."""
    return json.loads(publish.make(tmp_path_factory.mktemp("empty"))["tables.json"])


@pytest.mark.parametrize("guide", FIGURES)
def test_every_figure_of_a_guide_has_a_cell(made, guide):
    cells = [cell for table in made["tables"] if table["guide"] == guide for row in table["rows"] for cell in row]
    texts = " \n ".join(cell["text"] for cell in cells)
    measured = {cell["claim"] for cell in cells if "claim" in cell}
    claims = {f"{one.key}.{one.of}": one for one in claims_file.load() if one.guide == guide}
    lacking = [figure for figure in FIGURES[guide] if str(figure[1]) not in texts]
    assert not lacking
    named = {figure[2]: str(figure[1]) for figure in FIGURES[guide] if len(figure) > 2}
    assert set(named) == set(claims) == measured  # no figure without a claim, and no claim that no guide makes
    assert not {name: words for name, words in named.items() if not _told(words, claims[name].says, texts)}


def _told(words, says, texts):
    """Whether the claim's words are the guide's; a list's short words stand in its table whole."""
    return words in says or (says in words and words in texts)


def test_the_guides_tables_name_claims_that_exist(made):
    assert len({(table["guide"], table["title"]) for table in made["tables"]}) == len(made["tables"])
    summary = next(table for table in made["tables"] if table["title"] == "Expected Performance Gains")
    assert [cell["text"] for cell in summary["rows"][1]][1::2] == ["6-8 GB", "3-4 GB", "💾 ~50% reduction"]


@pytest.mark.parametrize("content", ["[1]", "[{guide: x}]", "[{guide: a, title: b, header: [c], rows: [[d, e]]}]"])
def test_a_bad_guides_file_is_answered_with_a_line(tmp_path, monkeypatch, content):
    (tmp_path / "guides.yaml").write_text(content)
    monkeypatch.setattr(guides_file, "path", lambda: tmp_path / "guides.yaml")
    with pytest.raises(BadInput, match=re.escape(str(tmp_path / "guides.yaml"))):
        guides_file.load()


def test_a_cell_of_no_claim_is_answered_with_a_line(tmp_path, monkeypatch):
    (tmp_path / "guides.yaml").write_text("[{guide: a, title: b, header: [c], rows: [['=fp16.sped']]}]")
    monkeypatch.setattr(guides_file, "path", lambda: tmp_path / "guides.yaml")
    with pytest.raises(BadInput, match=r"unknown claim 'fp16.sped'"):
        publish.make(tmp_path)


@cache
def planned(by, device):
    """Records as the trials of these params files would leave them."""
    words = shlex.split(by)
    changes = tuple(word for word in words if "=" in word)
    if "params/gpu" not in by:  # those name their device; a full study takes what is there
        changes += (f"baseline.device={device}",)
    found = []
    for path in (word for word in words if word.endswith(".yaml")):
        for study in params.read_all(path, changes):
            for trial in (study.baseline, *study.trials):
                here = {"device": "a card" if trial.settings["device"] == "cuda" else "a CPU", "host": "h"}
                timing = {"load_s": 1.0, "first_call_s": 1.0, "latency_s": [1.0]}
                if trial.id not in study.refused:
                    made = record.make(trial, "ok", "", timing=timing, environment=here)
                    found.append(Stored(made, f"{study.name}/{trial.id}.json"))
    return found


KINDS = {"growth": "life", "scaling": "pool", "over_peer": "peer"}


def test_what_is_said_to_answer_a_claim_plans_trials_that_do():
    wrong = []
    for claim in claims_file.load():
        if not claim.by:
            served = claim.of in claims_file.SERVED  # a kind of study needs its own file for each pipeline
            wrong += [] if claim.obstacle or served else [f"{claim.key}: nothing plans it"]
        elif claim.of in claims_file.SERVED:
            study = yaml.safe_load(Path(claim.by).read_text())
            if (study["kind"], study["pipeline"]) != (KINDS[claim.of], claim.pipeline.name):
                wrong.append(f"{claim.key}: {claim.by} is of another kind or pipeline")
        else:
            stored = planned(claim.by, "cuda" if needs_gpu(claim) or claim.after.get("device") != "cpu" else "cpu")
            if not all(answers.answers(part, stored)[0] for part in claim.together or (claim,)):
                wrong.append(f"{claim.key} ({claim.pipeline.name}): {claim.by} plans no trials that answer it")
    assert not wrong


def test_no_answers_are_told_apart_and_say_what_would_answer(tmp_path):
    def of(key, quantity):
        claim = next(one for one in claims_file.load() if (one.key, one.of) == (key, quantity))
        return judge.judge(claim, answers.load(tmp_path)[0])

    assert of("steps-8", "speed").verdict == "not run yet"
    assert of("steps-8", "speed").command == "mic2e-bench run params/full/claims-objectclear.yaml"
    assert of("table-tf32", "speed").verdict == "needs a GPU"
    assert of("table-tf32", "speed").command.endswith("claims-z-image-turbo.yaml --set model=random")
    assert of("steps-8", "quality").verdict == "needs the published weights"
    assert of("steps-8", "quality").command.endswith("--set model=published")
    assert of("sdxl-download", "load_s").verdict == "not measurable" and not of("sdxl-download", "load_s").command
    card = {"environment": {"device": "a card"}, "pipeline": "z-image-turbo", "study": "gpu", "model": "random"}
    put(tmp_path, {"device": "cuda", "tf32": "none"}, **card)
    assert of("table-tf32", "speed").verdict == "not run yet"  # a GPU was there, and nobody ran it
    assert of("time-original", "seconds").on == "RTX 3090"
    put(tmp_path, {"device": "cuda", "tf32": "all"}, status="oom", reason="out of memory", **card)
    assert (of("table-tf32", "speed").verdict, of("table-tf32", "speed").why) == ("inconclusive", "oom: out of memory")


def test_what_does_not_hold_says_what_is_claimed_and_why_not(tmp_path):
    card = {"environment": {"device": "a card"}, "pipeline": "sam3", "model": "random"}
    for precision, peak in (("fp32", 1000), ("fp16", 513)):
        memory = {"peak_vram_reserved_bytes": peak, "weights_bytes": 400}
        put(tmp_path, {"device": "cuda", "precision": precision}, memory=memory, **card)
    claim = next(one for one in claims_file.load() if one.key == "sam3-fp16")
    found = judge.judge(claim, answers.load(tmp_path)[0])
    assert (found.measured, found.verdict) == ("0.513× of the memory, n = 1 build", "does not")
    assert found.why == "claimed 0.5× or less; missed by 2.6 %; 78 % of the peak are the weights"


@pytest.mark.parametrize(
    "of_figures, verdict",
    [
        (["holds", "needs a GPU"], "holds"),
        (["holds", "does not", "holds"], "partly"),
        (["does not", "inconclusive"], "does not"),
        (["needs the published weights", "inconclusive"], "inconclusive"),
        (["needs the published weights", "not run yet"], "not run yet"),
        (["no figure claimed", "needs a GPU"], "needs a GPU"),
        (["no figure claimed"], "no figure claimed"),
    ],
)
def test_a_claim_of_several_figures(of_figures, verdict):
    assert score.of_several(of_figures) == verdict


@pytest.fixture
def results(tmp_path):
    first = put(tmp_path, ORIGINAL, seconds=[3.0])
    put(tmp_path, {**ORIGINAL, "steps": 8}, seconds=[1.0], quality=scored(60.0, first.id))
    put(tmp_path, {**ORIGINAL, "guidance": 2.0}, seconds=[6.0])
    return tmp_path


def test_the_score_counts_the_cells(results):
    made = publish.make(results)
    content = json.loads(made["tables.json"])
    every = [r[4] for table in content["tables"] if table["title"] == "Every claim" for r in table["rows"]]
    assert sum(each["figures"] for each in content["score"].values()) == len(every)
    by_claim = {}
    for cell in every:
        by_claim.setdefault(cell["claim"].partition(".")[0], []).append(cell["verdict"])
    for word, counted in content["score"].items():
        assert counted["figures"] == sum(cell["verdict"] == word for cell in every)
        assert counted["claims"] == sum(score.of_several(each) == word for each in by_claim.values())
    assert content["score"]["holds"]["figures"] and content["score"]["does not"]["figures"]
    sentence = f"Of {len(by_claim)} claims {content['score']['holds']['claims']} hold, "
    assert sentence in made["tables.md"] and sentence in made["tables.html"]
    assert list(content["score"]) == list(verdicts.MEANINGS)


def test_every_verdict_is_a_word_and_every_link_of_the_page_leads_somewhere(results):
    page = publish.make(results)["tables.html"]
    ids = re.findall(r'id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)
    assert '<b class="good">holds</b>' in page and '<b class="bad">does not</b>' in page
    assert "✅ Yes" in page and "report.html" not in page


def test_a_readable_page_of_a_record_is_linked_where_it_lies_and_changes_no_check(results, capsys):
    command(capsys, "tables", "--results", results)
    path = next((results / "any").glob("*.json"))
    path.with_suffix(".html").write_text("")
    (results / "report.html").write_text("")
    assert command(capsys, "tables", "--results", results, "--check")[0] == 0  # no record says anything else
    page = publish.make(results)["tables.html"]
    assert f'href="any/{path.stem}.html"' in page and 'href="report.html"' in page
