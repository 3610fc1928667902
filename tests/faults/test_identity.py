"""The identity covers what is measured: whatever changes the work changes it, and nothing else does."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import helpers
import model_folders
import pytest
from helpers import tiny
from model_folders import COMMITS, UNET

from mic2e_bench.catalog.models import digests, sources
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import record
from mic2e_bench.tools import pin

LARGE = sources.WHOLE_FILE_BYTES + (8 << 20)
MIDDLE = LARGE // 2


def inpaint(model, **changes):
    return tiny(pipeline="sdxl-inpaint", vary=None, model=model if isinstance(model, dict) else str(model), **changes)


def identity(content):
    return helpers.study(content).baseline.id


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """No cache of this machine takes part."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    """A model whose denoiser is large, as every real one's, and whose text encoder lies behind a link."""
    made = model_folders.copy(tmp_path / "model")
    model_folders.safetensors(made / UNET, LARGE)
    (made / "text_encoder").rename(tmp_path / "elsewhere")
    (made / "text_encoder").symlink_to(tmp_path / "elsewhere")
    (made / "unet" / ".hidden.safetensors").write_bytes((made / "vae/diffusion_pytorch_model.safetensors").read_bytes())
    return made


# ---- files of a model


def _middle(folder):
    model_folders.safetensors(folder / UNET, LARGE, b"x", MIDDLE)


def _over_with_its_time(path, change):
    """As ``cp -p`` over a file: the same inode, size and time of change, other content."""
    before = path.stat()
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


def _other_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _reworded(name, **changes):
    def change(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, **changes}))

    return change


def _written(name, text="x"):
    def change(folder):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return change


def _same_as_a_copy(folder):
    """What lies behind a link is what it would be without one."""
    target = (folder / "text_encoder").resolve()
    (folder / "text_encoder").unlink()
    shutil.copytree(target, folder / "text_encoder")


def _round(folder):
    (folder / "unet" / "round").symlink_to(folder)
    (folder / "itself").symlink_to(folder / "unet" / "round")


def _hard_link(folder):
    path = folder / "vae/diffusion_pytorch_model.safetensors"
    os.link(path, folder.parent / "linked")
    path.unlink()
    os.link(folder.parent / "linked", path)


OTHER = {
    "the middle of a large file": _middle,
    "a large file with its time": lambda f: _over_with_its_time(f / UNET, lambda: _middle(f)),
    "a small file with its time": lambda f: _over_with_its_time(
        f / "vae/diffusion_pytorch_model.safetensors",
        lambda: _other_byte(f / "vae/diffusion_pytorch_model.safetensors"),
    ),
    "a file in a linked folder": lambda f: _other_byte(f / "text_encoder/model.safetensors"),
    "a configuration in a linked folder": _reworded("text_encoder/config.json", hidden_act="relu"),
    "a hidden file of weights": lambda f: _other_byte(f / "unet/.hidden.safetensors"),
    "the index": _reworded("model_index.json", force_zeros_for_empty_prompt=False),
    "the scheduler": _reworded("scheduler/scheduler_config.json", beta_end=0.02),
    "a tokenizer": _reworded("tokenizer/tokenizer_config.json", model_max_length=20),
    "merges": _written("tokenizer/merges.txt"),
    "a sentencepiece model": _written("tokenizer/spiece.model"),
    "a template": _written("tokenizer/chat_template.jinja"),
    "an adapter's configuration": _written("unet/adapter_config.json", "{}"),
    "weights of another format": _written("unet/diffusion_pytorch_model.bin"),
    "code": _written("unet/model.py"),
}
SAME = {
    "documentation": _written("README.md"),
    "a licence": _written("LICENSE"),
    "a picture": _written("sample.png"),
    "what a download left": _written(".cache/unet.metadata"),
    "an evaluation": _written("evaluation.json", "{}"),
    "an editor's lock": lambda f: (f / ".#model_index.json").symlink_to("somebody@nowhere"),
    "a copy for a link": _same_as_a_copy,
    "links that lead round": _round,
    "a hard link": _hard_link,
}


@pytest.mark.parametrize("change", OTHER)
def test_other_weights_are_another_trial(change, folder):
    one = identity(inpaint(folder))
    OTHER[change](folder)
    assert identity(inpaint(folder)) != one


@pytest.mark.parametrize("change", SAME)
def test_what_does_not_change_the_work_does_not_change_the_identity(change, folder):
    one = identity(inpaint(folder))
    SAME[change](folder)
    assert identity(inpaint(folder)) == one


# ---- what is kept of large files


ASK = "import sys; from pathlib import Path; from mic2e_bench.catalog.models import digests;"
ASK += "print(digests.of([Path(sys.argv[1])])[0].hex())"


def in_another_process(path):
    found = subprocess.run([sys.executable, "-c", ASK, str(path)], capture_output=True, text=True, check=True)
    assert found.stderr == ""
    return found.stdout.strip()


def test_digests_of_large_files_are_kept_and_a_damaged_cache_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "SETTLED_S", -1.0)  # this file is ready at once
    path = model_folders.safetensors(tmp_path / "x.safetensors", LARGE, b"x", MIDDLE)
    right = digests.of([path])[0].hex()
    kept = tmp_path / "cache" / "mic2e-bench" / "digests.json"
    (key,) = json.loads(kept.read_text())
    made_up = hashlib.sha256(b"made up").hexdigest()
    kept.write_text(json.dumps({key: made_up}))
    assert in_another_process(path) == made_up  # it is not read again
    for damaged in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 9999, json.dumps({key: "no digest"}).encode(), b'{"x": 1}'):
        kept.write_bytes(damaged)
        assert digests.of([path])[0].hex() == right
    assert in_another_process(path) == right
    shutil.rmtree(kept.parent)
    kept.parent.write_text("a file where the folder should be")
    assert in_another_process(path) == right


def test_a_file_that_was_just_written_is_read_again(tmp_path):
    path = tmp_path / "small.json"
    for content in ("one", "two"):
        path.write_text(content)
        assert digests.of([path])[0] == hashlib.sha256(content.encode()).digest()


# ---- inputs


@pytest.mark.parametrize("name", ["path", "timeout_s", "retries", "order", "source"])
def test_an_input_may_have_any_name(name, tmp_path):
    inputs = tmp_path / "inputs"
    helpers.inputs(inputs)
    for part in ("", ".mask"):
        (inputs / f"in0{part}.png").rename(inputs / f"{name}{part}.png")
    (inputs / "prompts.yaml").write_text(f"{name}: a ball")
    content = inpaint("bundled", inputs=str(inputs))
    found = {identity(content)}
    helpers.picture((96, 80), seed=7).save(inputs / f"{name}.png")
    found.add(identity(content))
    helpers.mask((96, 80)).rotate(90).save(inputs / f"{name}.mask.png")
    found.add(identity(content))
    (inputs / "prompts.yaml").write_text(f"{name}: a cube")
    found.add(identity(content))
    assert len(found) == 4


def test_the_first_input_is_timed_so_their_order_counts(tmp_path):
    inputs = helpers.inputs(tmp_path / "inputs", ((96, 80), (64, 64), (80, 96)))

    def named(*names):
        return identity(inpaint("bundled", inputs={"source": inputs, "names": list(names)}))

    assert len({named("in0", "in1"), named("in1", "in0"), named("in0"), named("in1")}) == 4
    assert named("in0", "in1", "in2") == identity(inpaint("bundled", inputs=inputs))
    turned = helpers.study(inpaint("bundled", inputs={"source": inputs, "names": ["in2", "in0"]})).baseline
    stored = json.loads(json.dumps(turned.content, sort_keys=True))
    assert Trial.of("x", "y", stored).id == turned.id  # no order of keys takes part


def test_where_inputs_lie_does_not_matter(tmp_path):
    one, two = (helpers.inputs(tmp_path / name) for name in ("one", "two"))
    assert identity(inpaint("bundled", inputs=one)) == identity(inpaint("bundled", inputs=two))


# ---- the hub


@pytest.fixture
def published(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return lambda commit, revision="main": model_folders.hub(tmp_path / "hub", "me/mine", commit, revision=revision)


def test_the_commit_is_in_the_identity(published):
    named = identity(inpaint("me/mine"))  # nobody here knows which one it is
    published(COMMITS[0])
    one = helpers.study(inpaint("me/mine")).baseline
    assert one.model == {"source": "hub", "id": "me/mine", "revision": COMMITS[0], "asked": "main"}
    published(COMMITS[1])
    other = identity(inpaint("me/mine"))
    assert len({named, one.id, other}) == 3
    # the same commit by other names, and as it always was
    published(COMMITS[1], "v2")
    assert identity(inpaint({"source": "me/mine", "revision": "v2"})) == other
    pinned = helpers.study(inpaint({"source": "me/mine", "revision": COMMITS[1]})).baseline
    assert pinned.id == other
    assert pinned.model == {"source": "hub", "id": "me/mine", "revision": COMMITS[1]}


def test_a_commit_that_is_known_only_when_it_runs_is_pinned_first(published):
    """Planned before anything was downloaded; asking the hub leaves its answer in the local copy."""
    content = {**inpaint("me/mine"), "vary": {"attention": ["native", "sliced:1"], "fused_qkv": [False, True]}}
    planned = helpers.study(content)
    assert planned.refused and pin.pinned(planned).baseline.model == planned.baseline.model  # nobody answers
    published(COMMITS[0])
    pinned = pin.pinned(planned)
    again = helpers.study(content)
    assert [trial.id for trial in pinned.trials] == [trial.id for trial in again.trials]
    assert (pinned.baseline, pinned.refused) == (again.baseline, again.refused)
    assert pin.pinned(again) is again


@pytest.mark.parametrize("content", ["", "main", "a" * 39, "../" * 13 + "a", "é"])
def test_a_damaged_ref_is_no_commit(content, published):
    published(content)
    assert helpers.study(inpaint("me/mine")).baseline.model["revision"] == "main"


@pytest.mark.parametrize(
    ("variable", "below"),
    [("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")],
)
def test_the_hubs_copy_is_found_where_its_library_finds_it(variable, below, tmp_path, monkeypatch):
    monkeypatch.setenv(variable, str(tmp_path / "x"))
    model_folders.hub(tmp_path / "x" / below, "me/mine", COMMITS[0])
    assert helpers.study(inpaint("me/mine")).baseline.model["revision"] == COMMITS[0]


@pytest.mark.parametrize("revision", ["../../other", "a/../../b", "/etc", "", " "])
def test_a_revision_leads_nowhere_else(revision, tmp_path, capsys):
    path = helpers.file(tmp_path / "s.yaml", inpaint({"source": "me/mine", "revision": revision}))
    if revision:
        assert "revision" in helpers.refusal(capsys, "plan", path)
    else:
        assert helpers.command(capsys, "plan", path)[0] == 0  # main


# ---- records of before


def stored(results, trial, content, id, weights_bytes=LARGE):
    """A measured record of the trial, as an older version wrote it."""
    image = results / trial.study / "images" / f"{id}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    helpers.picture((8, 8)).save(image)
    sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
    made = record.make(
        trial, "ok", timing={"latency_s": [1.0], "load_s": 1.0, "first_call_s": 1.0},
        receipts={"steps": {"asked": 1, "seen": 1, "applied": True, "how": "counted"}}, environment={"host": "here"},
        memory={"weights_bytes": weights_bytes},
        images=[{"input": "in0", "seed": 42, "file": f"images/{id}.png", "sha256": sha256}],
    )  # fmt: skip
    helpers.store(results, {**made.raw, "id": id, "trial": content})


def old_fingerprint(content):
    """The identity as it was made when these records were."""

    def without(value):
        if isinstance(value, dict):
            return {key: without(value[key]) for key in value if key not in ("path", "timeout_s", "retries")}
        return value

    text = json.dumps(without(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _large(tmp_path, trial):
    # hashed by another hand: of the one large file both ends, all others whole, none behind a link to a folder
    total, folder = hashlib.sha256(), tmp_path / "model"
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".safetensors", ".txt", ".model", ".jinja") and path.name != "evaluation.json":
            content, size = path.read_bytes(), path.stat().st_size
            content = content if size <= 64 << 20 else content[: 1 << 20] + content[-(1 << 20) :]
            total.update(f"{path.relative_to(folder)}\0{size}\0".encode() + hashlib.sha256(content).digest())
    return {**trial.content, "model": {**trial.model, "fingerprint": total.hexdigest()[:16]}}


def _main(tmp_path, trial):
    return {**trial.content, "model": {"source": "hub", "id": "me/mine", "revision": "main"}}


def _turned(tmp_path, trial):
    return {**trial.content, "inputs": {key: value for key, value in trial.inputs.items() if key != "order"}}


BEFORE = {
    "large files were hashed at their ends only": (lambda t: inpaint(t / "model"), _large),
    "which commit of me/mine was 'main' is not in it": (lambda t: inpaint("me/mine"), _main),
    "the order of its inputs": (
        lambda t: inpaint("bundled", inputs={"source": str(t / "inputs"), "names": ["in1", "in0"]}), _turned,
    ),
    "what is named path, timeout_s or retries was left out": (
        lambda t: inpaint("bundled", inputs={"source": str(t / "inputs"), "names": ["in0", "path"]}),
        lambda tmp_path, trial: dict(trial.content),
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", BEFORE)
def test_records_of_before_stay_and_are_named(why, folder, tmp_path, published, capsys):
    published(COMMITS[0])
    inputs = tmp_path / "inputs"
    helpers.inputs(inputs, ((96, 80), (64, 64)))
    for part in ("", ".mask"):
        shutil.copy(inputs / f"in0{part}.png", inputs / f"path{part}.png")
    (inputs / "prompts.yaml").write_text("in0: a ball\nin1: a ball\npath: a ball")
    make, of_before = BEFORE[why]
    content, results = make(tmp_path), tmp_path / "results"
    trial = helpers.study(content).baseline
    old = of_before(tmp_path, trial)
    old["settings"] = {key: old["settings"][key] for key in old["settings"] if key != "wait_policy"}  # unknown then
    id = old_fingerprint(old)
    stored(results, trial, old, id)

    code, out, _ = helpers.command(capsys, "verify", "--results", results)
    remarks = [line for line in out.splitlines() if line.startswith("remark: ")]
    assert code == 0 and "no problems" in out
    assert len(remarks) == 1 and f"{id}.json: identity of before: " in remarks[0] and why in remarks[0]

    if "path" in trial.model:  # the same where the folder is gone
        folder.rename(tmp_path / "gone")
        assert remarks[0] in helpers.command(capsys, "verify", "--results", results)[1]
        (tmp_path / "gone").rename(folder)
    path = helpers.file(tmp_path / "s.yaml", content)
    for command in (["plan"], ["run", "--dry-run"]):
        code, out, _ = helpers.command(capsys, *command, path, "--results", results)
        assert code == 0 and f"{trial.id}  baseline  to measure" in out
        assert "1 record has the identity of before" in out


def test_a_record_of_today_has_no_remark(folder, tmp_path, published, capsys):
    published(COMMITS[0])
    results = tmp_path / "results"
    small = model_folders.copy(tmp_path / "small")
    for model in (folder, small, "me/mine", "bundled", {"source": "me/mine", "revision": COMMITS[1]}):
        trial = helpers.study(inpaint(model)).baseline
        stored(results, trial, trial.content, trial.id, LARGE if model is folder else 1000)
    code, out, _ = helpers.command(capsys, "verify", "--results", results)
    assert (code, out) == (0, "5 records and 5 images, 5 records without a hash of their content: no problems\n")
    shutil.rmtree(folder)
    shutil.rmtree(small)
    assert "remark" not in helpers.command(capsys, "verify", "--results", results)[1]


def test_the_fingerprint_of_small_files_is_what_it_was(tmp_path):
    """Where the rule of before covered all, records keep their identity."""
    for name in ("sdxl-inpaint", "sam3", "z-image-turbo"):
        copied = model_folders.copy(tmp_path / name, name)
        assert sources.fingerprint(copied) == sources.fingerprint_of_before(copied)
