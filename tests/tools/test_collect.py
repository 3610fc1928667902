"""Records that travel: ``run --pack-results`` and ``collect``, on real records and on damaged and hostile parts."""

import gzip
import io
import json
import random
import shutil
import tarfile

import helpers
import pytest
from helpers import tiny

from mic2e_bench import api, cli
from mic2e_bench.records import record
from mic2e_bench.tools.collect import join, machines, pack, parts
from mic2e_bench.tools.doctor import doctor

MACHINE = "a-card"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The records of a study, of another device by its name, packed."""
    folder = tmp_path_factory.mktemp("measured")
    path = helpers.file(folder / "study.yaml", tiny())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "libraries", lambda: {})
        arguments = ["run", path, "--results", folder / "results", "--pack-results", folder / "packed"]
        assert cli.main([str(argument) for argument in arguments]) == 0
    return folder


@pytest.fixture
def results(measured, tmp_path):
    shutil.copytree(measured / "results", tmp_path / "results")
    for path in record.paths(tmp_path / "results" / "tiny"):
        change(path, device="A Card")
    return tmp_path / "results"


def change(path, quality=None, **environment):
    one = json.loads(path.read_text())
    one["environment"] |= environment
    helpers.rewrite(path, {**one, **({} if quality is None else {"quality": quality})})


def swell(results):
    """Make records so large that two of them are no part of 64 KiB."""
    for path in record.paths(results / "tiny"):
        change(path, note=random.Random(path.name).randbytes(35_000).hex())


def packing(results, folder, part="15MiB", content=None):
    with pytest.MonkeyPatch.context() as patch:  # half a minute, and a test of its own
        patch.setattr(pack.doctor, "examine", lambda call_libraries: {})
        patch.setattr(pack.doctor, "text", lambda found: "doctor")
        return pack.Packing(folder, [helpers.study(content or tiny())], results, part, None)


@pytest.fixture
def packed(results, tmp_path):
    packing(results, tmp_path / "packed").write()
    return tmp_path / "packed"


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def members(path):
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}


def test_a_run_packs_its_records_with_a_summary(measured):
    files = tree(measured / "packed")
    assert sorted(files) == ["results-01.tar.gz", "summary.md"]
    summary = files["summary.md"].decode()
    assert "2 of 2 trials: 2 ok; 0 left." in summary and "torch" in summary and "| baseline |" in summary
    inside = members(measured / "packed" / "results-01.tar.gz")
    ids = {path.stem for path in record.paths(measured / "results" / "tiny")}
    assert {name.split("/")[1][:-5] for name in inside if name.startswith("tiny/") and name.endswith(".json")} == ids
    assert all(json.loads(inside[f"tiny/{id}.json"])["quality"] for id in ids)  # packed once more after the scores
    assert "logs/tiny.log" in inside and "not called" in inside["doctor.txt"].decode()
    assert str(measured).encode() not in inside["doctor.txt"]


def test_joining_verifies_names_the_machine_and_changes_nothing_twice(packed, tmp_path, capsys):
    into = tmp_path / "evidence"
    code, out, err = helpers.command(capsys, "collect", packed, "--into", into)
    assert (code, err) == (0, "")
    first, study = out.splitlines()
    assert first.startswith("machine: A Card, driver none, Python 3.") and "torch 2" in first and "locked set" in first
    assert study == "a-card/tiny: 2 records (2 ok): 2 new"
    assert helpers.whole(into / MACHINE)
    assert (into / MACHINE / "doctor.txt").read_text() == "doctor\n" and (into / MACHINE / "tiny.log").exists()
    old = tree(into)
    assert "2 already there" in helpers.command(capsys, "collect", packed, "--into", into)[1]
    assert tree(into) == old


def test_packing_again_changes_only_what_changed(results, tmp_path):
    swell(results)
    made = packing(results, tmp_path / "packed", part="64KiB")
    made.write()
    old = {p.name: (p.read_bytes(), p.stat().st_ino) for p in made.folder.iterdir() if p.name != "summary.md"}
    assert len(old) == 3 and all(len(content) <= 64 << 10 for content, _ in old.values())
    made.write()
    packing(results, tmp_path / "again", part="64KiB").write()
    for name, (content, inode) in old.items():
        assert (made.folder / name).stat().st_ino == inode  # not even written
        assert (tmp_path / "again" / name).read_bytes() == content
    last = record.paths(results / "tiny")[1]
    last.unlink()
    made.write()
    assert len(list(made.folder.glob("results-*"))) == len(old) - 1


def test_too_many_parts_become_larger_ones(results, tmp_path, capsys):
    template = json.loads(record.paths(results / "tiny")[0].read_text())
    noise = random.Random(0)
    for index in range(40):
        one = {**template, "id": f"{index:016x}", "reason": noise.randbytes(8000).hex(), "images": []}
        helpers.rewrite(results / "tiny" / f"{index:016x}.json", one)
    made = packing(results, tmp_path / "packed", part="64KiB")
    made.write()
    assert len(list(made.folder.iterdir())) <= pack.MOST_FILES
    assert "8 files of 0.0625 MiB cannot hold all records" in capsys.readouterr().err
    found = {}
    parts.read_all(made.folder, lambda name, content: found.setdefault(name, content))
    assert sum(name.endswith(".json") for name in found) == 42


def test_a_copy_made_while_parts_are_written_has_every_record(results, tmp_path, monkeypatch):
    """Whenever it is made: the parts are copied before each of them is replaced."""
    swell(results)
    made = packing(results, tmp_path / "packed", part="64KiB")
    made.write()
    for path in record.paths(results / "tiny"):
        change(path, quality={}, more="x" * 3000)
    copies = []
    real = parts.write

    def write(path, *args):
        copies.append(shutil.copytree(made.folder, tmp_path / f"copy{len(copies)}"))
        return real(path, *args)

    monkeypatch.setattr(parts, "write", write)
    made.write()
    assert copies
    for copy in copies:
        found = set()
        parts.read_all(copy, lambda name, content, found=found: found.add(name))
        assert sum(name.endswith(".json") for name in found) == 2


def test_pictures_of_random_weights_stay_behind_and_are_not_missed(results, tmp_path, capsys):
    content = tiny(model="random")
    for trial, path in zip(helpers.study(content).trials, record.paths(results / "tiny"), strict=True):
        one = json.loads(path.read_text())
        path.unlink()
        one |= {"id": trial.id, "trial": json.loads(json.dumps(trial.content)), "label": trial.label}
        helpers.store(results, one)
    packing(results, tmp_path / "packed", content=content).write()
    assert not any(name.endswith(".png") for name in members(tmp_path / "packed" / "results-01.tar.gz"))
    assert helpers.command(capsys, "collect", tmp_path / "packed", "--into", tmp_path / "e")[0] == 0
    assert list((tmp_path / "e").rglob("*.png")) == []


def test_two_machines_are_two_folders(results, tmp_path, capsys):
    change(record.paths(results / "tiny")[0], device="Another/../Card")
    packing(results, tmp_path / "packed").write()
    assert helpers.command(capsys, "collect", tmp_path / "packed", "--into", tmp_path / "e")[0] == 0
    assert sorted(p.name for p in (tmp_path / "e").iterdir()) == ["a-card", "another-card"]


def test_which_record_stays(results, tmp_path, capsys):
    into, path = tmp_path / "e", record.paths(results / "tiny")[0]

    def collect(*more):
        shutil.rmtree(tmp_path / "packed", ignore_errors=True)
        packing(results, tmp_path / "packed").write()
        return helpers.command(capsys, "collect", tmp_path / "packed", "--into", into, *more)[1]

    target = into / MACHINE / "tiny" / path.name
    one = json.loads(path.read_text())
    helpers.rewrite(path, {**one, "status": "error", "reason": "of no use", "quality": {}})
    assert "1 error, 1 ok" in collect() or "1 ok, 1 error" in collect()
    helpers.rewrite(path, {**one, "quality": {}})  # the measured one wins
    assert "1 replaced" in collect()
    helpers.rewrite(path, one)  # the same with its scores
    assert "1 replaced" in collect() and json.loads(target.read_text())["quality"]
    change(path, started="later")
    old = target.read_bytes()
    said = collect()
    assert (
        "1 kept" in said and f"other records are there of {path.stem}, and stay" in said and target.read_bytes() == old
    )
    assert "1 replaced" in collect("--replace") and target.read_bytes() != old


# ---- bad input: one line, and nothing is written


def repack(folder, change, number=1, listed=True):
    """The first part with ``change(files)`` made; ``listed``: with a manifest that knows of it."""
    path = folder / parts.name(number)
    files = members(path)
    count = json.loads(files.pop(parts.MANIFEST))["of"]
    if listed:
        change(files)
        parts.write(path, number, count, files)
        return
    whole = members(path)
    change(whole)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in whole.items():
            archive.addfile(tarfile.TarInfo(name) if content is None else _sized(name, content), io.BytesIO(content))


def _sized(name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member


def refused(capsys, folder, into):
    line = helpers.refusal(capsys, "collect", folder, "--into", into)
    assert not into.exists()
    return line


def test_no_folder_no_parts_a_part_missing(packed, results, tmp_path, capsys):
    into = tmp_path / "e"
    assert "no such folder" in refused(capsys, tmp_path / "nowhere", into)
    (tmp_path / "empty").mkdir()
    assert "no parts there" in refused(capsys, tmp_path / "empty", into)
    swell(results)
    packing(results, tmp_path / "two", part="64KiB").write()
    (tmp_path / "two" / "results-02.tar.gz").rename(tmp_path / "kept")
    assert "results-02.tar.gz of 3 parts missing" in refused(capsys, tmp_path / "two", into)
    (tmp_path / "kept").rename(tmp_path / "two" / "results-02.tar.gz")
    (tmp_path / "two" / "results-01.tar.gz").unlink()
    assert "results-01.tar.gz" in refused(capsys, tmp_path / "two", into)


@pytest.mark.parametrize("keep", [0, 10, 1000, -5000])
def test_a_part_that_was_cut_short(keep, packed, tmp_path, capsys):
    path = packed / "results-01.tar.gz"
    path.write_bytes(path.read_bytes()[:keep])
    assert str(path) in refused(capsys, packed, tmp_path / "e")


def test_a_byte_that_flipped(packed, tmp_path, capsys):
    path = packed / "results-01.tar.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "damaged" in refused(capsys, packed, tmp_path / "e")


def changed(files, old, new):
    """One of its records, with other words in it, and with the hash of those."""
    content = json.loads(files[of(files, ".json")].replace(old, new))
    files[of(files, ".json")] = json.dumps(helpers.resealed(content)).encode()


def edited(files):
    """One of its records, with another latency and the hash of before."""
    name = of(files, ".json")
    files[name] = files[name].replace(b'"latency_s": [', b'"latency_s": [0.5, ', 1)


def of(files, end):
    return next(name for name in sorted(files) if name.startswith("tiny/") and name.endswith(end))


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda f: f.update({"../../out.json": b"{}"}), "is no folder name"),
        (lambda f: f.update({"/etc/passwd": b"x"}), "is no folder name"),
        (lambda f: f.update({"tiny/../x.json": b"x"}), "nothing that a pack holds"),
        (lambda f: f.update({"tiny/run.sh": b"x"}), "nothing that a pack holds"),
        (lambda f: f.update({"a study/0123456789abcdef.json": b"{}"}), "is no folder name"),
        (lambda f: f.update({"doctor.txt": b"x" * (join.OTHER_BYTES + 1)}), "no pack has that many"),
        (lambda f: f.update({of(f, ".json"): b"{"}), "is damaged"),
        (lambda f: f.update({of(f, ".png"): b"no picture"}), "not the image that was made"),
        (edited, "was edited"),
        (lambda f: f.pop(of(f, ".png")), "missing, and a record names it"),
        (lambda f: changed(f, b'"resolution": 64', b'"resolution": 65'), "identity"),
        (lambda f: changed(f, b'"tiny"', b'"../x"'), "of study"),
        (lambda f: changed(f, b'"A Card"', b'"..."'), "on which device"),
    ],
)  # fmt: skip
def test_files_that_no_pack_has(change, says, packed, tmp_path, capsys):
    repack(packed, change)
    assert says in refused(capsys, packed, tmp_path / "e")


def test_a_file_beside_the_manifest_and_none_at_all(packed, tmp_path, capsys):
    repack(packed, lambda files: files.update({"tiny/more.json": b"{}"}), listed=False)
    assert "not in its manifest" in refused(capsys, packed, tmp_path / "e")
    repack(packed, lambda files: files.pop(parts.MANIFEST), listed=False)
    assert "no manifest" in refused(capsys, packed, tmp_path / "e")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices(kind, packed, tmp_path, capsys):
    member = tarfile.TarInfo("tiny/0123456789abcdef.json")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(packed / "results-01.tar.gz", "w:gz") as archive:
        archive.addfile(member)
    assert "a link, a folder or a device" in refused(capsys, packed, tmp_path / "e")


def test_bombs_are_not_unpacked(packed, tmp_path, capsys, monkeypatch):
    huge = tarfile.TarInfo("manifest.json")
    huge.size = 1 << 40
    (packed / "results-01.tar.gz").write_bytes(gzip.compress(huge.tobuf()))
    assert "are the most" in refused(capsys, packed, tmp_path / "e")
    monkeypatch.setattr(parts, "ALL_BYTES", 1 << 20)
    (packed / "results-01.tar.gz").write_bytes(gzip.compress(bytes(16 << 20)))
    line = refused(capsys, packed, tmp_path / "e")
    assert "results-01.tar.gz" in line


def test_where_packs_may_go(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(cli.BadInput, match="holds other things"):
        api.run(tiny(), results=tmp_path / "r", pack_results=tmp_path / "mine")
    with pytest.raises(cli.BadInput, match="has no unit"):
        api.run(tiny(), results=tmp_path / "r", pack_results=tmp_path / "new", part="15")
    assert not (tmp_path / "r").exists()


def test_what_another_study_packed_is_not_lost(packed, results, tmp_path):
    before = tree(packed)
    with pytest.raises(cli.BadInput, match=r"holds the record tiny/\w+.json, which would be lost.*another folder"):
        packing(results, packed, content=tiny(study="other"))
    with pytest.raises(cli.BadInput, match="which would be lost"):
        packing(tmp_path / "fresh", packed)
    packing(results, packed).write()
    assert tree(packed) == before


def test_packages_that_are_not_the_locked_ones(tmp_path):
    lock = helpers.file(tmp_path / "lock", "torch==2.10.0 \\\n    --hash=x\nnumpy==2.4.6 ; a\nnumpy==2.5.5 ; b\n")
    here = {"device": "A Card", "packages": {"torch": "2.11.0+cu130", "numpy": "2.4.6"}}
    one = helpers.made_up({}, environment=here)
    (line,) = machines.lines([one, one], lock)
    assert line.endswith("not the locked set: torch 2.11.0+cu130 (locked: 2.10.0)")
