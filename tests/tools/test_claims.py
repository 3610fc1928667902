"""The guides' claims beside stored records: which records answer, what is credited, verdicts, published tables."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from urllib.parse import unquote

import helpers
import pytest
from claiming import ORIGINAL, outcome, put, scored
from helpers import command, refusal

from mic2e_bench.errors import BadInput
from mic2e_bench.tools.claims import claims_file, judge, layout, publish, reach


@pytest.fixture(scope="module")
def claims():
    return {(claim.key, claim.of): claim for claim in reversed(claims_file.load())}


def test_every_claim_names_settings_that_exist(claims):
    meant = ("with offload", "downloads depend", "single operations", "words alone", "a trial makes one call")
    unknown = {claim.key: claim.obstacle for claim in claims.values() if not claim.obstacle.startswith(meant)}
    assert not {key: why for key, why in unknown.items() if why}
    assert {claim.guide for claim in claims.values()} == {
        "Speed & Memory Optimization Guide", "Optimization Summary", "Performance Comparison",
        "Model Optimization Notes", "Speed Optimizations Guide",
    }  # fmt: skip


SPEED, MEMORY, COST = (1.5, 2.0), (0.56, 0.56), (0.8, 0.9)


@pytest.mark.parametrize(
    ("of", "range", "ci95", "verdict"),
    [
        ("speed", SPEED, [1.6, 1.9], "holds"),
        ("speed", SPEED, [2.5, 3.5], "holds"),  # more than claimed
        ("speed", SPEED, [1.3, 1.55], "inconclusive"),  # its better end alone decides nothing
        ("speed", SPEED, [1.27, 1.49], "does not"),
        ("speed", SPEED, [0.9, 1.55], "inconclusive"),
        ("speed", SPEED, [0.4, 0.6], "does not"),
        ("speed", COST, [0.82, 0.88], "holds"),
        ("speed", COST, [1.05, 1.15], "does not"),  # a warning of "10-20 % slower" at 1.10x faster
        ("speed", COST, [0.92, 0.97], "does not"),  # less than it warns of
        ("speed", COST, [0.4, 0.6], "does not"),  # more than it warns of
        ("speed", COST, [0.85, 0.95], "inconclusive"),
        ("vram", (1.1, 1.1), [1.12, 1.12], "holds"),  # "+10 % VRAM", to its last digit
        ("vram", (1.1, 1.1), [1.0, 1.0], "does not"),
        ("vram", (1.1, 1.1), [1.3, 1.3], "does not"),
        ("speed", (1, 1), [0.985, 1.4], "holds"),  # no change, within 2 %
        ("speed", (1, 1), [0.9, 0.95], "does not"),
        ("speed", (1, 1), [0.95, 1.01], "inconclusive"),
        ("speed", (1, None), [1.1, 1.5], "holds"),  # "faster"
        ("speed", (1, None), [1.0, 1.5], "inconclusive"),
        ("speed", (1, None), [0.8, 1.0], "does not"),
        ("speed", (None, 1), [0.4, 0.6], "holds"),  # "slower"
        ("speed", (None, 1), [0.98, 1.17], "inconclusive"),
        ("speed", (None, 1), [1.1, 1.3], "does not"),
        ("vram", MEMORY, [0.4, 0.4], "holds"),
        ("vram", MEMORY, [0.8, 0.8], "does not"),
        ("vram", (None, 1), [0.9, 0.9], "holds"),  # "less"
        ("vram", (None, 1), [1.0, 1.0], "does not"),
        ("vram", (1, None), [1.2, 1.2], "holds"),  # "more"
        ("vram", (1, None), [0.8, 0.8], "does not"),
        ("ram", (0.5, 0.5), [0.47, 0.55], "inconclusive"),
        ("vram_gb", (6, 8), [5.0, 5.0], "holds"),
        ("vram_gb", (6, 8), [9.0, 9.0], "does not"),
        ("quality", (75, 80), [76, 82], "holds"),
        ("quality", (75, 80), [70, 82], "inconclusive"),
        ("quality", (75, 80), [50, 70], "does not"),
    ],
)
def test_verdicts_are_by_the_whole_interval(claims, of, range, ci95, verdict):
    claim = replace(claims["steps-8", "speed"], of=of, low=range[0], high=range[1])
    assert reach.compare(claim, ci95) == verdict


def test_a_ratio_alone_concludes_nothing(claims, tmp_path):
    """One call each, not in turns: the figure stands, and the cell says why there is no verdict."""
    for steps, seconds in ((20, 2.0), (8, 0.5)):
        put(tmp_path, {"steps": steps}, seconds=[seconds])
    for path in (tmp_path / "any").glob("*.json"):
        one = json.loads(path.read_text())
        timing = {**one["timing"], "latency_s": one["timing"]["latency_s"][:1], "rounds": None}
        helpers.rewrite(path, {**one, "timing": timing})
    found = outcome(tmp_path, claims["steps-8", "speed"])
    assert (found.value, found.ci95, found.verdict) == (4.0, None, "inconclusive")
    assert found.why


def test_disturbed_records_have_a_figure_with_a_mark_and_never_a_verdict(claims, tmp_path, capsys):
    put(tmp_path, {"steps": 20}, seconds=[3.0])
    put(tmp_path, {"steps": 8}, seconds=[1.0], environment={"disturbed": ["throttled to 900 MHz"]})
    found = outcome(tmp_path, claims["steps-8", "speed"])
    assert (found.verdict, found.why) == ("inconclusive", "disturbed while it was measured")
    assert found.measured == "3.00× the speed †, n = 8 builds"
    command(capsys, "tables", "--results", tmp_path)
    for name in ("tables.md", "tables.html"):
        text = (tmp_path / name).read_text()
        assert "3.00× the speed †" in text and "throttled to 900 MHz" in text
        assert "†: disturbed while it was measured" in text
    put(tmp_path, {"steps": 20}, seconds=[3.0], study="quiet")
    put(tmp_path, {"steps": 8}, seconds=[1.5], study="quiet")
    found = outcome(tmp_path, claims["steps-8", "speed"])  # what was not disturbed comes first
    assert found.measured == "2.00× the speed, n = 8 builds"


@pytest.mark.parametrize(
    ("key", "of", "before", "after"),
    [
        ("fp16", "speed", {"precision": "fp32"}, {"precision": "fp16"}),
        ("slicing", "speed", {"attention": "native"}, {"attention": "sliced:auto"}),
        ("summary-int8", "speed", {"quantize": "none"}, {"quantize": "torchao-int8wo"}),
        ("summary-compile", "speed", {"compile": "none"}, {"compile": "reduce-overhead"}),
        ("offload-model", "speed", {"offload": "none"}, {"offload": "model"}),
        ("summary-batch", "throughput", {"batch": 1}, {"batch": 4}),
    ],
)
def test_a_cpu_says_nothing_of_what_the_hardware_does(claims, tmp_path, key, of, before, after):
    for settings, seconds in ((before, 2.0), (after, 1.0)):
        put(tmp_path, settings, seconds=[seconds])
    found = outcome(tmp_path, replace(claims[key, of], low=1.5, high=2.0))
    assert found.value is not None
    assert (found.verdict, found.why) == ("needs a GPU", "measured on a CPU only: says nothing of a GPU")


def test_the_noise_of_memory_is_in_the_verdict(claims, tmp_path):
    """Of a process while it loads, a little less is no verdict."""
    put(tmp_path, {"low_cpu_mem_usage": False}, memory={"load_peak_rss_bytes": 1000, "peak_rss_bytes": 1000})
    put(tmp_path, {"low_cpu_mem_usage": True}, memory={"load_peak_rss_bytes": 999, "peak_rss_bytes": 1000})
    found = outcome(tmp_path, claims["low-cpu-mem", "ram"])
    assert found.verdict == "inconclusive" and found.ci95[0] < 0.999 < found.ci95[1]
    put(tmp_path, {"low_cpu_mem_usage": True}, memory={"load_peak_rss_bytes": 400, "peak_rss_bytes": 1000})
    assert outcome(tmp_path, claims["low-cpu-mem", "ram"]).verdict == "holds"


def test_a_ratio_comes_from_two_records_that_differ_in_the_named_settings_alone(claims, tmp_path):
    put(tmp_path, {"steps": 20}, seconds=[2.0, 2.0, 2.0], label="steps=8", study="misleading")
    put(tmp_path, {"steps": 8, "resolution": 256}, seconds=[0.1, 0.1, 0.1])
    put(tmp_path, {"steps": 8}, seconds=[0.1] * 3, environment={"host": "another"})
    put(tmp_path, {"steps": 8}, seconds=[0.1] * 3, model="random")
    found = outcome(tmp_path, claims["steps-8", "speed"])
    assert (found.verdict, found.why) == ("not run yet", "no two records that differ in these settings alone")
    mine = put(tmp_path, {"steps": 8}, seconds=[0.78, 0.8, 0.82], label="steps=20", study="other")
    found = outcome(tmp_path, claims["steps-8", "speed"])
    assert found.value == pytest.approx(2.5, rel=0.02)
    assert found.ci95[0] < 2.5 < found.ci95[1]
    assert found.verdict == "inconclusive"  # 2.5x is claimed, and a part of the interval is below
    assert found.records[0].record.id == mine.id
    assert "bundled stand-in model on a CPU" in found.place


def test_a_record_older_than_a_toggle_had_its_default(claims, tmp_path):
    put(tmp_path, {"steps": 20}, seconds=[2.0] * 3)
    old = put(tmp_path, {"steps": 8}, seconds=[1.0] * 3).raw
    del old["trial"]["settings"]["vae_tiling"]
    helpers.store(tmp_path, old)
    assert outcome(tmp_path, claims["steps-8", "speed"]).value == 2.0


def test_nothing_is_credited_to_what_was_not_in_force(claims, tmp_path):
    put(tmp_path, {"attention": "native"})
    receipt = {"asked": "xformers", "seen": "sliced:auto", "applied": False, "how": "", "reason": "no CUDA"}
    put(tmp_path, {"attention": "xformers"}, seconds=[0.1] * 3, status="not_applied", receipts={"attention": receipt})
    found = outcome(tmp_path, claims["xformers", "speed"])
    assert (found.value, found.verdict) == (None, "needs a GPU")
    assert found.why == "not applied: attention xformers was not in force (no CUDA)"
    assert found.records[0].record.status == "not_applied"


def test_what_may_differ_besides_is_named_where_it_was_not_in_force(claims, tmp_path):
    put(tmp_path, ORIGINAL, seconds=[3.0] * 3)
    receipt = {"asked": "xformers", "seen": "native", "applied": False, "how": ""}
    balanced = {"steps": 8, "resolution": 384, "guidance": 2.0, "precision": "fp16", "attention": "xformers"}
    put(tmp_path, balanced, status="not_applied", receipts={"attention": receipt})
    found = outcome(tmp_path, claims["objectclear-balanced", "speed"])
    assert found.value == pytest.approx(3.0)
    assert "attention xformers was not in force" in found.measured


@pytest.mark.parametrize("status", ["refused", "unavailable", "oom", "error"])
def test_what_failed_says_why(claims, tmp_path, status):
    put(tmp_path, {"attention": "native"})
    put(tmp_path, {"attention": "xformers"}, status=status, reason="needs CUDA", environment={"host": None})
    assert outcome(tmp_path, claims["xformers", "speed"]).why == f"{status}: needs CUDA"


def test_a_substitute_answers_only_in_the_place_of_the_claims_own_settings_and_is_named(claims, tmp_path):
    put(tmp_path, {"compile": "none"}, seconds=[2.0] * 3)
    put(tmp_path, {"compile": "default"})
    found = outcome(tmp_path, claims["summary-compile", "speed"])
    assert found.value == 2.0
    assert found.measured == "2.00× the speed, n = 8 builds; with compile default"
    put(tmp_path, {"compile": "reduce-overhead"}, seconds=[1.9] * 3)
    found = outcome(tmp_path, claims["summary-compile", "speed"])
    assert found.value == pytest.approx(2 / 1.9)
    assert not found.remark


def test_memory_without_a_gpu_is_not_measured_and_weights_are_told(claims, tmp_path):
    put(tmp_path, {"precision": "fp32"}, memory={"weights_bytes": 100})
    put(tmp_path, {"precision": "fp16"}, memory={"weights_bytes": 50})
    found = outcome(tmp_path, claims["fp16", "vram"])
    assert (found.value, found.why) == (None, "no GPU here (bytes of the weights: 0.500×)")


def test_quality_counts_only_against_the_settings_that_the_claim_compares(claims, tmp_path):
    first = put(tmp_path, {"steps": 20})
    put(tmp_path, {"steps": 8}, quality=scored(70.0, "0" * 16))
    assert "other settings" in outcome(tmp_path, claims["steps-8", "quality"]).why
    put(tmp_path, {"steps": 8}, quality=scored(70.0, first.id))
    found = outcome(tmp_path, claims["steps-8", "quality"])
    assert (found.value, found.verdict) == (70.0, "no figure claimed")


@pytest.mark.parametrize(
    ("told", "n", "verdict", "why"),
    [
        ("visible", 8, "does not", "a visible difference"),
        ("rounding", 8, "holds", "no difference beyond rounding"),
        ("same", 8, "holds", "the same pictures"),
        ("unknown", 8, "inconclusive", "no measure of the rounding in its pictures"),
        ("visible", 1, "inconclusive", "too few pictures"),
        ("rounding", 4, "inconclusive", "too few pictures"),
        ("too few", 8, "inconclusive", "too few pictures"),
    ],
)
def test_no_loss_means_no_difference_beyond_rounding(claims, tmp_path, told, n, verdict, why):
    first = put(tmp_path, {"guidance": 2.5})
    put(tmp_path, {"guidance": 2.0}, quality=scored(99.0, first.id, told=told, n=n, pairs=n))
    found = outcome(tmp_path, replace(claims["guidance-2", "quality"], low=100, high=100))
    assert (found.verdict, found.why.partition(";")[0]) == (verdict, why)


def test_one_drawn_picture_refutes_nothing(claims, tmp_path, monkeypatch):
    first = put(tmp_path, {"steps": 20})
    claim = replace(claims["steps-8", "quality"], low=75, high=80)
    put(tmp_path, {"steps": 8}, quality=scored(34.6, first.id, n=1))
    found = outcome(tmp_path, claim)
    assert (found.verdict, found.why) == ("needs the published weights", "measured with the bundled stand-in model")
    assert found.command.endswith("params/full/claims-objectclear.yaml --set model=published")
    monkeypatch.setattr(judge, "PUBLISHED", ("bundled",))
    found = outcome(tmp_path, claim)
    assert (found.verdict, found.why) == ("inconclusive", "too few pictures")
    put(tmp_path, {"steps": 8}, quality=scored(34.6, first.id, ci95=[30.0, 40.0], n=100))
    assert outcome(tmp_path, claim).verdict == "does not"


def test_a_difference_of_masks_without_a_floor_of_rounding_is_not_refuted(claims, tmp_path):
    """IoU 99.9 % beside a repeat that is equal, in an old record."""
    more = {"pipeline": "sam3", "environment": {"device": "a card"}}
    first = put(tmp_path, {"device": "cuda", "precision": "fp32"}, **more)
    entry = {**scored(0.999, first.id)["quality"], "unit": "1", "backbone": None, "floor": 1.0}
    put(tmp_path, {"device": "cuda", "precision": "fp16"}, quality={"iou": entry}, **more)
    found = outcome(tmp_path, claims["sam3-fp16", "quality"])
    assert (found.value, found.verdict) == (pytest.approx(99.9), "inconclusive")


def test_absolute_figures_need_full_size_and_absolute_times_the_named_device(claims, tmp_path):
    claim = claims["time-original", "seconds"]
    put(tmp_path, ORIGINAL, seconds=[9.0] * 3)
    found = outcome(tmp_path, claim)
    assert (found.value, found.verdict) == (9.0, "needs a GPU")
    assert "published size; measured with the bundled stand-in model" in found.why
    gpu = {"device": "cuda", **ORIGINAL}
    memory = {"peak_vram_reserved_bytes": 7_000_000_000}
    other = {"environment": {"device": "NVIDIA H200"}, "memory": memory}
    put(tmp_path, gpu, seconds=[1.0] * 3, model="random", study="b", **other)
    found = outcome(tmp_path, claim)
    assert (found.value, found.verdict) == (1.0, "needs a GPU")
    assert "claimed for RTX 3090" in found.why
    found = outcome(tmp_path, claims["vram-original", "vram_gb"])
    assert (found.verdict, found.measured) == ("holds", "7.00 GB, n = 1 build")
    assert found.place == "published size, random weights on NVIDIA H200"
    put(tmp_path, gpu, seconds=[9.0] * 3, model="random", study="b", environment={"device": "NVIDIA GeForce RTX 3090"})
    assert outcome(tmp_path, claim).verdict == "holds"


def test_an_absolute_figure_is_of_the_pipelines_own_settings(claims, tmp_path):
    put(tmp_path, {"precision": "fp16", "resolution": 512}, pipeline="sdxl-inpaint", model="random", study="small")
    assert "all else at the pipeline's defaults" in outcome(tmp_path, claims["gpu-3090", "vram_gb"]).why


def test_throughput_is_images_per_second(claims, tmp_path):
    put(tmp_path, {"batch": 1}, seconds=[1.0] * 3)
    put(tmp_path, {"batch": 4}, seconds=[2.0] * 3)
    assert outcome(tmp_path, claims["summary-batch", "throughput"]).value == 2.0


@pytest.fixture
def results(tmp_path):
    """A few records: two presets, steps of SDXL, one that was refused with a text that must be escaped."""
    first = put(tmp_path, ORIGINAL, seconds=[3.0, 3.1, 2.9])
    balanced = {"steps": 8, "resolution": 384, "guidance": 2.0, "precision": "fp16"}
    put(tmp_path, balanced, quality=scored(60.0, first.id))
    for steps, seconds in ((20, 2.0), (30, 3.0), (50, 5.0)):
        put(tmp_path, {"steps": steps}, seconds=[seconds] * 3, pipeline="sdxl-inpaint", study="sdxl")
    put(tmp_path, {"quantize": "bnb-int8"}, status="refused", reason="<b>no</b> | never")
    return tmp_path


def test_the_tables_are_written_from_records_alone_and_every_figure_links_to_its_record(results, capsys):
    code, out, _ = command(capsys, "tables", "--results", results)
    assert code == 0
    assert [line.partition(": ")[2] for line in out.splitlines()] == [
        str(results / name) for name in ("tables.md", "tables.html", "tables.json")
    ]
    text = (results / "tables.md").read_text()
    links = [unquote(link) for link in re.findall(r"\]\(([^)]*)\)", text)]
    assert links
    assert all((results / link).is_file() for link in links)
    speed = next(line for line in text.splitlines() if line.startswith("| Est. Speed") and "Ultra" not in line)
    nothing = r"needs a GPU \(measured on a CPU only: says nothing of a GPU; to answer on a GPU: [^)]*\)"
    assert re.search(r"\[3\.0\d×[^:|]*: " + nothing + r"\]\(any/", speed)
    assert "no record of objectclear with steps 4" in speed
    assert "bundled stand-in model" in text
    assert "alex, untrained (seed 0) stand-in" in text
    page = (results / "tables.html").read_text()
    assert "<b>no</b>" not in page + text
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    json_cells = [
        cell for t in json.loads((results / "tables.json").read_text())["tables"] for r in t["rows"] for cell in r
    ]
    measured = [cell for cell in json_cells if cell.get("value") is not None]
    assert measured
    assert all(cell["records"] and cell["verdict"] for cell in measured)
    assert all(cell["why"] or cell["command"] for cell in json_cells if "verdict" in cell and cell.get("value") is None)


def test_the_step_table(results, claims):
    made = layout.sheets([outcome(results, claim) for claim in claims_file.load()])
    sheet = next(sheet for sheet in made if "Steps Tuning" in sheet.title)
    texts = [[getattr(cell, "text", cell) for cell in row] for row in sheet.rows]
    assert texts[0][5].startswith("1.50× the speed")
    assert texts[1][5] == "1×"
    assert texts[2][5].startswith("0.600× the speed")


def test_the_check_names_each_cell_that_no_longer_matches(results, capsys):
    assert command(capsys, "tables", "--results", results, "--check")[0] == 1
    command(capsys, "tables", "--results", results)
    code, out, _ = command(capsys, "tables", "--results", results, "--check")
    assert (code, out) == (0, "the published tables are what the stored records give\n")
    put(results, ORIGINAL, seconds=[1.5, 1.55, 1.45])
    before = {path.name: path.read_bytes() for path in results.glob("tables.*")}
    code, out, _ = command(capsys, "tables", "--results", results, "--check")
    assert code == 1
    assert {line.partition(": ")[0].rpartition("/")[2] for line in out.splitlines()} == set(before)
    assert any("Est. Speed" in line and "3.00×" in line and "1.50×" in line for line in out.splitlines())
    assert before == {path.name: path.read_bytes() for path in results.glob("tables.*")}


@pytest.mark.parametrize("name", ["tables.md", "tables.html", "tables.json"])
def test_the_check_sees_a_figure_changed_by_hand(results, capsys, name):
    command(capsys, "tables", "--results", results)
    path = results / name
    path.write_text(path.read_text().replace("1.50×", "9.99×", 1))
    code, out, _ = command(capsys, "tables", "--results", results, "--check")
    assert (code, len(out.splitlines())) == (1, 1)
    assert f"{name}: " in out
    assert "9.99×" in out
    path.write_text("{")
    assert command(capsys, "tables", "--results", results, "--check")[0] == 1


def test_figures_of_different_environments_stand_in_one_table_only_if_asked(results, capsys):
    for steps in (8, 4):
        put(results, {"steps": steps}, study="elsewhere", environment={"host": "another"})
    line = refusal(capsys, "tables", "--results", results)
    assert "different environments" in line
    assert "--mixed" in line
    assert command(capsys, "tables", "--results", results, "--mixed")[0] == 0


def test_evidence_of_a_processor_of_the_same_name_is_no_figure_of_this_environment(results, capsys):
    for steps in (8, 4):
        put(results, {"steps": steps}, study="elsewhere", environment={"host": "another"})
    (results / "evidence" / "other").mkdir(parents=True)
    (results / "elsewhere").rename(results / "evidence" / "other" / "elsewhere")
    assert command(capsys, "tables", "--results", results)[0] == 0


def test_a_damaged_record_is_named_and_left_out(results, capsys):
    (results / "any" / "0123456789abcdef.json").write_text("{")
    code, _, err = command(capsys, "tables", "--results", results)
    assert code == 0
    assert "left out" in err


def test_without_records_every_cell_says_why(tmp_path):
    made = json.loads(publish.make(tmp_path)["tables.json"])
    cells = [cell for table in made["tables"] for row in table["rows"] for cell in row if "verdict" in cell]
    wanted = {"not run yet", "needs a GPU", "needs the published weights", "not measurable"}
    assert {cell["verdict"] for cell in cells} == wanted
    assert all(cell["why"] for cell in cells)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [", "not valid YAML"),
        ("a: 1", "write KEY"),
        ("a: {guid: x}", "unknown key 'guid'"),
        ("a: {guide: x, section: y, what: z}", "'figures' is missing"),
        ("a: {guide: x, section: y, what: z, pipeline: p, figures: {speed: {says: w}}}", "unknown pipeline 'p'"),
        ("a: {guide: x, section: y, what: z, pipeline: sam3, figures: {sped: {says: w}}}", "unknown quantity 'sped'"),
        ("a: {guide: x, section: y, what: z, pipeline: sam3, figures: {speed: 2}}", "write {says"),
        ("a: {guide: x, section: y, what: z, pipeline: sam3, figures: {speed: {says: w, is: [2, 1]}}}", "[2, 1]"),
        ("a: {guide: x, section: y, what: z, pipeline: sam3, figures: {speed: {says: w, is: fastr}}}", "'faster'"),
    ],
)
def test_a_bad_claims_file_is_answered_with_a_line(tmp_path, monkeypatch, content, words):
    (tmp_path / "claims.yaml").write_text(content)
    monkeypatch.setattr(claims_file, "path", lambda: tmp_path / "claims.yaml")
    with pytest.raises(BadInput, match=re.escape(words)):
        claims_file.load()


def test_no_torch(tmp_path):
    code = "import sys; from mic2e_bench import cli; cli.main(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "tables", "--results", str(tmp_path)], check=True, capture_output=True)


def test_models_side_by_side_are_the_sum_of_their_peaks_and_that_only_from_above(claims, tmp_path):
    claim = claims["together-current", "vram_gb"]
    gpu = {"device": "cuda", "precision": "fp16"}

    def peak(settings, gigabytes, pipeline):
        memory = {"peak_vram_reserved_bytes": gigabytes * 10**9}
        put(tmp_path, {**gpu, **settings}, pipeline=pipeline, model="random", study=pipeline, memory=memory)

    peak({"steps": 8, "resolution": 384, "guidance": 2.0}, 4, "objectclear")
    assert outcome(tmp_path, claim).why.startswith("sam3: no record of sam3 with precision fp16")
    peak({"prompt_kind": "text"}, 1, "sam3")
    peak({"prompt_kind": "points"}, 2, "sam3")
    found = outcome(tmp_path, claim)
    assert (found.value, found.verdict, len(found.records)) == (7.0, "holds", 3)
    assert "an upper bound" in found.measured
    peak({"prompt_kind": "points"}, 9, "sam3")
    assert outcome(tmp_path, claim).verdict == "inconclusive"
