"""What throughput studies say of the guides' claims: figures with intervals, verdicts only of what was asked."""

import pytest

from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.tools.claims import claims_file, judge, publish, served
from mic2e_bench.tools.throughput import record
from mic2e_bench.tools.throughput.kind import Figure, Kind


def scaling(records):
    """The figure that each record of this made-up kind states."""
    return [Figure("scaling", one.runs[0]["scaling"], one.runs[0]["ci95"], [one], "too few runs") for one in records]


@pytest.fixture(autouse=True)
def kind(monkeypatch):
    monkeypatch.setattr(served, "kinds", lambda: {"made-up": Kind("made-up", "", None, None, None, scaling)})


def put(results, value, ci95, device="cpu", study="any", disturbed=()):
    trial = params.resolve_study({"pipeline": "z-image-turbo", "baseline": {"device": "cpu"}}).baseline
    content = {**trial.content, "settings": {**trial.content["settings"], "device": device}}
    here = {**environment.here("cpu"), "device": device, "disturbed": list(disturbed)}
    record.write(
        results,
        {"kind": "made-up", "id": f"{abs(hash((value, device, study))):016x}"[:16], "study": study, "label": "x"}
        | {"status": "ok", "reason": "", "asked": {}, "trial": content, "environment": here}
        | {"runs": [{"scaling": value, "ci95": ci95}]},
    )


def judged(results):
    claim = next(one for one in claims_file.load() if one.of == "scaling" and one.pipeline.name == "z-image-turbo")
    return judge.judge(claim, [], served.load(results)[0])


@pytest.mark.parametrize(
    "ci95, verdict",
    [([0.99, 1.03], "holds"), ([0.8, 0.9], "does not"), ([0.9, 1.0], "inconclusive"), (None, "inconclusive")],
)
def test_a_verdict_by_the_whole_interval(tmp_path, ci95, verdict):
    put(tmp_path, 1.0, ci95, "cuda")
    assert judged(tmp_path).verdict == verdict


def test_a_cpu_says_nothing_of_gpus(tmp_path):
    put(tmp_path, 0.7, [0.6, 0.8])
    assert (judged(tmp_path).verdict, judged(tmp_path).why) == ("needs a GPU", judge.CPU_ONLY)
    put(tmp_path, 0.99, [0.98, 1.0], "cuda", study="other")
    assert judged(tmp_path).verdict == "holds"


def test_what_was_disturbed_has_no_verdict(tmp_path):
    put(tmp_path, 1.0, [0.99, 1.01], "cuda", disturbed=["other work"])
    assert (judged(tmp_path).verdict, judged(tmp_path).is_disturbed) == ("inconclusive", True)


def test_without_a_study_the_cell_says_so(tmp_path):
    assert judged(tmp_path).why == "no throughput study of z-image-turbo says it"


def test_runs_that_nobody_here_wrote_are_named_and_the_others_count(tmp_path, capsys):
    put(tmp_path, 1.0, [0.99, 1.03], "cuda", study="fine")
    put(tmp_path, 2.0, None, "cuda", study="odd")
    (path,) = (tmp_path / "odd" / "throughput").glob("*.json")
    record.write(tmp_path, {**record.read(path).raw, "runs": [{}]})
    assert judged(tmp_path).verdict == "holds"
    publish.make(tmp_path)
    assert "odd/throughput: made-up: its records cannot be read: KeyError: 'scaling'" in capsys.readouterr().err


def test_the_tables_link_to_the_record(tmp_path):
    put(tmp_path / "evidence" / "machine", 1.0, [0.99, 1.03], "cuda")
    page = publish.make(tmp_path)["tables.md"]
    (path,) = record.everywhere(tmp_path)
    assert f"[1.00× (0.990 to 1.03), n = 1 run: holds]({path.relative_to(tmp_path).as_posix()})" in page
