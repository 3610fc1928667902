"""Identity: the same content has the same id however it was written, other content has another."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import helpers
import pytest
import yaml
from helpers import tiny

from mic2e_bench import api, cli, paths
from mic2e_bench.catalog.models import sources
from mic2e_bench.plan import params
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import record

SAFETENSORS = (8).to_bytes(8, "little") + b'{"a":{}}'

HERE = Path(__file__).parent
# by id: what records stored while ``process`` was a setting like others, two of each pipeline, and those that are kept
STORED = json.loads((HERE / "identities.json").read_text())
for path in (HERE.parents[1] / "results" / "evidence").rglob("*/[0-9a-f]*.json"):
    if path.parent.name != paths.SERVED:  # what those asked is a part of their identity as well
        STORED[path.stem] = json.loads(path.read_text())["trial"]


def ids(content):
    return [trial.id for trial in helpers.study(content).trials]


def model(folder, content=SAFETENSORS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(content)
    return folder


def shuffled(content):
    if isinstance(content, dict):
        return {key: shuffled(content[key]) for key in reversed(content)}
    return content


def test_order_name_and_number_format_do_not_matter(tmp_path):
    wanted = ids(tiny())
    assert ids(shuffled(tiny())) == wanted
    assert ids(tiny(study="another")) == wanted
    assert ids(tiny(baseline={**tiny()["baseline"], "guidance": 1})) == wanted
    assert ids(tiny(vary=None, trials=[{"label": "named", "steps": 2}])) == wanted
    assert ids(tiny(model="bundled")) == wanted
    assert ids(tiny(metrics=["ssim"])) == wanted  # scored from what is stored
    path = helpers.file(tmp_path / "study.yaml", tiny())
    assert [trial.id for trial in params.read(path).trials] == wanted
    assert [trial.id for trial in api.study(tiny()).trials] == wanted


def test_from_python_keys_are_replaced_by_what_was_given(tmp_path):
    path = helpers.file(tmp_path / "study.yaml", tiny())
    assert len(api.study(path, vary=None).trials) == 1
    changed = api.study(path, study="another", vary={"steps": [1, 3]})
    assert changed.name == "another"
    assert [t.id for t in changed.trials] == ids(tiny(vary={"steps": [1, 3]}))


def test_defaults_that_are_written_out_do_not_matter():
    complete = dict(helpers.study(tiny()).baseline.settings)
    assert ids(tiny(baseline=complete)) == ids(tiny())


@pytest.mark.parametrize(
    "change",
    [
        {"baseline": {**tiny()["baseline"], "guidance": 1.5}},
        {"baseline": {**tiny()["baseline"], "precision": "bf16"}},
        {"baseline": {**tiny()["baseline"], "attention": "math"}},
        {"protocol": {**tiny()["protocol"], "seeds": [43]}},
        {"protocol": {**tiny()["protocol"], "repeats": 2}},
        {"inputs": {"limit": 1}},  # of the bundled ones
        {"model": "random"},
        {"model": "published"},
        {"model": {"source": "published", "revision": "v2"}},
    ],
)
def test_whatever_is_measured_differently_has_another_identity(change):
    assert not set(ids(tiny(**change))) & set(ids(tiny()))


def test_patience_is_no_part_of_the_identity():
    assert ids(tiny(protocol={**tiny()["protocol"], "timeout_s": 5})) == ids(tiny())


def test_inputs_count_by_their_content(tmp_path):
    one = ids(tiny(inputs=helpers.inputs(tmp_path / "one")))
    copy = tmp_path / "deep" / "two"
    shutil.copytree(tmp_path / "one", copy)
    assert ids(tiny(inputs=str(copy))) == one
    (copy / "prompts.yaml").write_text("in0: another caption")
    assert ids(tiny(inputs=str(copy))) == one  # a removal has no prompt
    helpers.picture((96, 80), seed=3).save(copy / "in0.png")
    assert not set(ids(tiny(inputs=str(copy)))) & set(one)


def test_weights_count_by_their_content(tmp_path):
    one = ids(tiny(model=str(model(tmp_path / "one"))))
    assert ids(tiny(model=str(model(tmp_path / "two")))) == one
    other = model(tmp_path / "two", SAFETENSORS.replace(b"a", b"b"))  # the same folder, other weights of that size
    assert not set(ids(tiny(model=str(other)))) & set(one)


def test_large_weights_are_read_whole(tmp_path):
    folder = model(tmp_path / "large")
    with (folder / "weights.safetensors").open("r+b") as file:
        file.truncate(sources.WHOLE_FILE_BYTES + 1)
    one = sources.fingerprint(folder)
    with (folder / "weights.safetensors").open("r+b") as file:
        file.seek(sources.WHOLE_FILE_BYTES // 2)
        file.write(b"x")
    assert sources.fingerprint(folder) != one


def test_the_same_from_any_folder(tmp_path, monkeypatch):
    """As from notebooks/, where the folder above is what relative paths mean."""
    for name in ("params", "notebooks"):
        (tmp_path / name).mkdir()
    helpers.inputs(tmp_path / "photos")
    model(tmp_path / "weights")
    helpers.file(tmp_path / "params" / "x.yaml", tiny(inputs="photos", model="weights"))
    found = []
    for folder, path in ((".", "params/x.yaml"), ("notebooks", "../params/x.yaml")):
        monkeypatch.chdir(tmp_path / folder)
        found.append([trial.id for trial in params.read(path).trials])
        found.append(ids(yaml.safe_load(Path(path).read_text())))
    assert all(one == found[0] for one in found)


def test_only_the_call_shares_a_build():
    varied = helpers.study(tiny(vary={"steps": [1, 2], "guidance": [1, 2], "precision": ["fp32", "bf16"]}))
    assert len({trial.build_key for trial in varied.trials}) == 2


def test_planning_imports_no_torch(tmp_path):
    path = helpers.file(tmp_path / "study.yaml", tiny())
    program = (
        "import sys; from mic2e_bench import cli; code = cli.main(sys.argv[1:]);"
        "print([m for m in ('torch', 'diffusers', 'transformers', 'pandas') if m in sys.modules], code)"
    )
    command = [sys.executable, "-c", program, "plan", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert ended.stdout.splitlines()[-1] == "[] 0"
    assert all(id in ended.stdout for id in ids(tiny()))
    assert ended.stderr == ""


def test_content_is_what_a_record_stores():
    trial = helpers.study(tiny()).baseline
    assert json.loads(json.dumps(trial.content)) == trial.content
    assert set(trial.content) == {"pipeline", "model", "settings", "inputs", "protocol"}


def anew(content, **changes):
    """The trial of a record, resolved from a params file that says all of it."""
    source = "bundled" if content["inputs"]["source"] == "bundled" else "params/gpu/inputs"  # on another machine
    inputs = {"source": source, "limit": len(content["inputs"]["items"])}
    given = {"pipeline": content["pipeline"], "model": content["model"]["source"], "inputs": inputs}
    found = helpers.study({**given, "baseline": content["settings"], "protocol": content["protocol"], **changes})
    # a toggle younger than the record is no part of what it was
    settings = {name: found.baseline.content["settings"][name] for name in content["settings"]}
    return Trial.of("x", "y", {**found.baseline.content, "settings": settings})


@pytest.mark.parametrize("id", STORED)
def test_what_is_stored_keeps_its_identity(id):
    content = STORED[id]
    assert anew(content).id == Trial.of("another", "name", content).id == id
    if "path" in content["inputs"]:  # the folder's place there, which is no part of the identity
        content = {**content, "inputs": {**content["inputs"], "path": str(helpers.ROOT / "params" / "gpu" / "inputs")}}
    assert anew(content).content == content
    # the same where the process is said in the protocol
    settings, measured = dict(content["settings"]), dict(content["protocol"])
    measured["process"] = settings.pop("process")
    again = anew(content, baseline=settings, protocol=measured)
    assert again.id == id and "process" not in again.settings
    assert again.restarts is (measured["process"] == "per_call")


def test_there_is_a_record_of_each_pipeline_and_process():
    found = {(content["pipeline"], content["settings"]["process"]) for content in STORED.values()}
    assert len(found) == 10


def test_the_process_can_be_said_in_every_place():
    """In the protocol, and where settings are said, which goes before."""
    per_call = helpers.study(tiny(vary=None, protocol={**tiny()["protocol"], "process": "per_call"})).baseline
    assert per_call.restarts and per_call.id != helpers.study(tiny(vary=None)).baseline.id
    base = tiny()["baseline"]
    kept, other = helpers.study(tiny(vary={"process": ["kept", "per_call"]})).trials
    assert (kept.label, other.label, other.id) == ("baseline", "process=per_call", per_call.id)
    assert kept.build_key != other.build_key
    assert ids(tiny(vary=None, baseline={**base, "process": "per_call"})) == [per_call.id]
    assert ids(tiny(vary=None, trials=[{"process": "per_call"}]))[1] == per_call.id
    assert ids(tiny(vary=None, ablate={"best": {"process": "per_call"}}))[1] == per_call.id
    turned = tiny(vary={"process": ["kept", "per_call"]}, protocol={**tiny()["protocol"], "process": "per_call"})
    assert ids(turned) == [per_call.id, kept.id]


def test_a_record_from_when_it_was_a_setting_is_found_as_done(tmp_path, capsys):
    base, measured = tiny()["baseline"], tiny()["protocol"]
    old = tiny(vary=None, baseline={**base, "process": "per_call"})
    trial = helpers.study(old).baseline
    assert trial.content["settings"]["process"] == "per_call" and "process" not in trial.content["protocol"]
    record.write(tmp_path, record.make(trial, "ok"))
    new = tiny(vary=None, protocol={**measured, "process": "per_call"})
    for name, content in (("old", old), ("new", new)):
        path = helpers.file(tmp_path / f"{name}.yaml", content)
        assert cli.main(["plan", str(path), "--results", str(tmp_path)]) == 0
        assert f"{trial.id}  baseline  ok" in capsys.readouterr().out
