"""``pack`` and ``unpack.sh``: a small copy of this project and made-up packages, packed, unpacked and run."""

import hashlib
import io
import json
import lzma
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import helpers
import numpy as np
import pytest
from safetensors.numpy import save

from mic2e_bench import errors
from mic2e_bench.machine import versions
from mic2e_bench.tools.pack import anonymous, archive, pack, site, target, tree

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
ROOT = helpers.ROOT


def weights(content: bytes) -> bytes:
    """A whole file of weights, these bytes in it."""
    return save({"x": np.frombuffer(content, np.uint8)})


WEIGHTS = weights(bytes(range(256)) * 400)
LOCK = """\
alembic==1.0
    # via optuna
bitsandbytes==0.50.2 ; sys_platform == 'linux'
    # via mic2e-bench (pyproject.toml)
contourpy==1.0 ; python_full_version < '3'
    # via diffusers
diffusers==0.42.1
    # via
    #   mic2e-bench (pyproject.toml)
    #   lpips
numpy==2.0
    # via
    #   diffusers
    #   optuna
optuna==5.0
    # via mic2e-bench (pyproject.toml)
torch==2.10.0
    # via mic2e-bench (pyproject.toml)
typing-extensions==4.0
    # via torch
"""
PACKAGES = {
    "bitsandbytes": {
        "bitsandbytes/__init__.py": b"", "bitsandbytes/libbitsandbytes_cpu.so": b"cpu",
        "bitsandbytes/libbitsandbytes_cuda130.so": b"13.0", "bitsandbytes/libbitsandbytes_cuda128.so": b"12.8" * 1000,
        "bitsandbytes/libbitsandbytes_rocm72.so": b"rocm", "bitsandbytes/libbitsandbytes_xpu2026.so": b"xpu",
    },
    "diffusers": {"diffusers/__init__.py": b"it = 1\n", "diffusers/tests/test_it.py": b"", "diffusers/it.pyi": b"",
                  "diffusers/test_of_it.py": b"kept = 1\n"},
    "optuna": {"optuna/__init__.py": b"", "optuna/testing/__init__.py": b"kept = 2\n"},
    "alembic": {"alembic/__init__.py": b"", "tests/__init__.py": b""},
}  # fmt: skip


def wheel(folder, name, version):
    """A wheel of the made-up package."""
    info = f"{name}-{version}.dist-info"
    files = {
        **PACKAGES[name],
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: made-up\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-cli = {name}:main\n".encode(),
    }
    record = "".join(f"{path},,{len(content)}\n" for path, content in files.items()) + f"{info}/RECORD,,\n"
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as out:
        for path, content in {**files, f"{info}/RECORD": record.encode()}.items():
            out.writestr(path, content)
    return made


def unzipped(pins, machine, into, tool):
    """In the place of uv: the made-up wheels, with what an installer leaves behind."""
    into.mkdir()
    for pin in pins:
        with zipfile.ZipFile(wheel(into.parent, pin.name, pin.version)) as archived:
            archived.extractall(into)
        (into / f"{pin.name}-{pin.version}.dist-info" / "direct_url.json").write_text(json.dumps({"url": str(into)}))
        (into / "bin").mkdir(exist_ok=True)
        (into / "bin" / f"{pin.name}-cli").write_text(f"#!{sys.executable}\n")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """This package without its models, and two small ones that have weights in common."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "mic2e_bench", folder / "mic2e_bench", ignore=shutil.ignore_patterns("bundled", "*.pyc"))
    for name in ("pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, folder)
    (folder / "requirements.lock").write_text(LOCK)
    (folder / "COMMIT").write_text("0123456789ab\n")
    bundled = folder / "mic2e_bench" / "bundled"
    helpers.inputs(bundled / "inputs")
    for model, file, content in (
        ("one", "a.safetensors", WEIGHTS), ("one", "own.safetensors", weights(os.urandom(150_000))),
        ("one", "led-to.safetensors", weights(os.urandom(1000))),
        ("two", "model.safetensors", WEIGHTS), ("two", "own.safetensors", weights(os.urandom(50_000))),
    ):  # fmt: skip
        (bundled / model).mkdir(exist_ok=True)
        (bundled / model / file).write_bytes(content)
    (bundled / "two" / "linked.safetensors").symlink_to("../one/led-to.safetensors")
    (bundled / "two" / "config.json").write_text('{"model_type": "sam3"}')
    for name in ("params", "notebooks", "tests/__pycache__", "mic2e_bench/__pycache__"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "x.pyc").touch()
    (folder / "params" / "study.yaml").write_text("pipeline: sam3\nmodel: mic2e_bench/bundled/two\ninputs: bundled\n")
    (folder / "tests" / "test_x.py").write_text("def test_x(): pass\n")
    return folder


@pytest.fixture(autouse=True)
def packing(checkout, monkeypatch):
    """Every pack is of the small copy, and needs no index."""
    stand_in(monkeypatch, checkout)


def stand_in(patch, checkout):
    patch.setattr(tree, "root", lambda: checkout)
    patch.setattr(site, "fetch", unzipped)
    patch.setattr(site, "uv", lambda folder: "uv")
    patch.setattr(archive, "BEST", 0)


def freeze(folder):
    return helpers.file(folder / "freeze.txt", "torch==2.11.0+cu130\nnumpy==2.5.5\n-e git+x#egg=y\nZ_z @ file:///z\n")


@pytest.fixture(scope="module")
def packed(checkout, tmp_path_factory):
    """One pack for the tests that only read it."""
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, checkout)
        return pack.write(folder / "pack", target.read(HERE, None, freeze(folder)), None)


def contents(folder):
    """Every member of every part, in the order of the manifest."""
    found = []
    for part in json.loads((folder / "manifest.json").read_text())["parts"]:
        with tarfile.open(folder / part["file"]) as archived:
            found += [(member, archived.extractfile(member).read() if member.isreg() else b"") for member in archived]
    return found


def unpack(folder, where, *python):
    """``unpack.sh`` as on a machine of which nothing is known: exit code, standard output, standard error."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    command = ["sh", str(folder / "unpack.sh"), str(where), *(python or (sys.executable,))]
    ended = subprocess.run(command, capture_output=True, text=True, env=bare, cwd=folder.parent)
    return ended.returncode, ended.stdout, ended.stderr


def test_what_is_in_it(packed, checkout):
    manifest = json.loads((packed.folder / "manifest.json").read_text())
    assert (manifest["commit"], manifest["python"], manifest["torch"]) == ("0123456789ab", HERE, "2.11.0+cu130")
    assert manifest["packages"] == {"alembic": "1.0", "bitsandbytes": "0.50.2", "diffusers": "0.42.1", "optuna": "5.0"}
    assert manifest["expects"] == ["numpy", "torch"]
    assert {part["file"]: part["bytes"] for part in manifest["parts"]} == {
        path.name: path.stat().st_size for path in packed.folder.glob("*.tar.xz")
    }
    names = {member.name: content for member, content in contents(packed.folder)}
    assert names["code/COMMIT"] == b"0123456789ab\n" and "code/tests/test_x.py" in names
    assert "site/bitsandbytes/libbitsandbytes_cpu.so" in names and "site/optuna/testing/__init__.py" in names
    assert [name for name in names if "libbitsandbytes_cuda" in name] == [
        "site/bitsandbytes/libbitsandbytes_cuda130.so"
    ]
    for word in ("rocm", "xpu", ".pyc", ".pyi", "/tests/test_it", "direct_url", "site/bin", "site/tests"):
        assert not [name for name in names if word in name], word
    record = names["site/diffusers-0.42.1.dist-info/RECORD"].decode()
    assert "diffusers/test_of_it.py" in record and "test_it.py" not in record
    told = packed.text()
    for word in ("onnxruntime-gpu", "flash-attn", "jupyterlab", "other devices", "unpack.sh TARGET"):
        assert word in told
    assert all(one["why"] for one in manifest["left_out"])


def test_equal_files_are_stored_once_and_links_stay_links(packed):
    found = contents(packed.folder)
    assert sum(content == WEIGHTS for _, content in found) == 1
    kinds = {member.name: member for member, _ in found}
    bundled = "code/mic2e_bench/bundled"
    assert kinds[f"{bundled}/two/model.safetensors"].linkname == f"{bundled}/one/a.safetensors"
    assert kinds[f"{bundled}/two/linked.safetensors"].issym()
    assert kinds[f"{bundled}/two/linked.safetensors"].linkname == "../one/led-to.safetensors"
    for member, _ in found:
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)


def test_nothing_in_it_names_this_machine(packed, checkout):
    names = [str(checkout), str(ROOT), str(packed.folder.parent), sys.executable, str(Path.home()) + "/"]
    names += [platform.node()] if len(platform.node()) > anonymous.SHORT else []
    held = [(member.name, content) for member, content in contents(packed.folder)]
    held += [(path.name, path.read_bytes()) for path in packed.folder.iterdir() if path.suffix != ".xz"]
    for name, content in held:
        assert not [one for one in names if one.encode() in content], name


@pytest.mark.parametrize("what", ["root", "home", "host"])
def test_a_file_that_names_this_machine_is_refused(what, checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "node-17")
    word = {"root": f"{checkout}/x", "home": f"{Path.home()}/x", "host": "run on node-17."}[what]
    planned = {"code": [archive.Member("code/params/a.yaml", word.encode())]}
    with pytest.raises(errors.BadInput, match=r"code/params/a.yaml names this machine"):
        anonymous.check(planned, checkout, tmp_path)
    anonymous.check({"code": [archive.Member("code/x", b"node-170 and /home")]}, checkout, tmp_path)


def test_the_same_again_is_the_same_archives(packed, tmp_path):
    again = pack.write(tmp_path / "pack", target.read(HERE, None, freeze(tmp_path)), None)
    one, other = ({path.name: path.read_bytes() for path in made.folder.glob("*.xz")} for made in (packed, again))
    assert one == other


def test_unpacked_it_runs(packed, tmp_path):
    where = tmp_path / "a folder with 'spaces'"
    code, out, err = unpack(packed.folder, where)
    assert (code, err) == (0, "") and out.count("\n") == 1 and out.endswith(" doctor\n")
    run = {"capture_output": True, "text": True, "env": {"PATH": "/usr/bin:/bin"}, "cwd": tmp_path}
    assert subprocess.run([where / "bin" / "mic2e-bench", "--version"], **run).stdout.startswith("mic2e-bench ")
    study = where / "code" / "params" / "study.yaml"
    planned = subprocess.run([where / "bin" / "mic2e-bench", "plan", study], **{**run, "cwd": where / "code"})
    assert planned.returncode == 0 and " to measure" in planned.stdout, planned
    asked = "import diffusers, mic2e_bench; from mic2e_bench.machine import environment; print(environment.git())"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {asked!r}], check=True)"
    assert subprocess.run([where / "bin" / "python", "-c", child], **run).stdout == "0123456789ab\n"
    bundled = where / "code" / "mic2e_bench" / "bundled"
    assert (bundled / "two" / "model.safetensors").read_bytes() == WEIGHTS
    assert (bundled / "two" / "linked.safetensors").read_bytes() == (
        bundled / "one" / "led-to.safetensors"
    ).read_bytes()
    assert unpack(packed.folder, where)[0] == 2  # never over what is there
    assert "exists already" in unpack(packed.folder, where)[2]


def resealed(folder):
    """The checksums anew: what somebody does who changes a pack on purpose."""
    lines = (line.split()[1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    text = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in lines)
    (folder / "SHA256SUMS").write_text(text)


def refused(folder, where, *python):
    code, out, err = unpack(folder, where, *python)
    assert (code, out, err.count("\n")) == (2, "", 1), (code, out, err)
    return err


def test_damage_is_noticed(packed, tmp_path):
    folder = shutil.copytree(packed.folder, tmp_path / "pack")
    part = folder / "code.tar.xz"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    assert "code.tar.xz is damaged" in refused(folder, tmp_path / "x")
    part.unlink()
    assert "code.tar.xz is missing" in refused(folder, tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", ["up", "absolute", "link"])
def test_what_climbs_out_is_never_written(kind, packed, tmp_path):
    folder, victim = shutil.copytree(packed.folder, tmp_path / "pack"), tmp_path / "victim"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        if kind == "link":
            link = tarfile.TarInfo("code/out")
            link.type, link.linkname = tarfile.SYMTYPE, "../.."
            made.addfile(link)
        name = {"up": "../victim", "absolute": str(victim), "link": "code/out/victim"}[kind]
        info = tarfile.TarInfo(name)
        info.size = 4
        made.addfile(info, io.BytesIO(b"evil"))
    (folder / "code.tar.xz").write_bytes(lzma.compress(buffer.getvalue()))
    resealed(folder)
    code, _, err = unpack(folder, tmp_path / "x" / "y")
    assert not victim.exists() and not (tmp_path / "x" / "victim").exists()
    # an absolute name is written below the target; the others are refused
    assert (code == 2 and err.startswith("unpack: code.tar.xz: ")) or kind == "absolute"


def test_what_cannot_be_unpacked_here(packed, tmp_path):
    folder = shutil.copytree(packed.folder, tmp_path / "pack")
    assert "a colon" in refused(folder, tmp_path / "a:b")
    assert "no nothing-here here" in refused(folder, tmp_path / "x", "nothing-here")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "python": "3.10"}))
    resealed(folder)
    assert "packed for Python 3.10" in refused(folder, tmp_path / "x")
    (folder / "manifest.json").write_text(json.dumps({**manifest, "expects": ["no-such-package"]}))
    resealed(folder)
    code, _, err = unpack(folder, tmp_path / "x")
    assert code == 0 and "lacks what the pack expects: no-such-package" in err


def options(folder, *more):
    return ("pack", "--to", folder / "pack", "--python", HERE, "--has", freeze(folder), *more)


def test_over_the_limit_it_says_what_to_leave_out(packed, tmp_path, capsys):
    line = helpers.refusal(capsys, *options(tmp_path, "--limit", f"{packed.size / 1024 - 100}KiB"))
    assert "over --limit" in line and "largest first: --without one (" in line and "Even so" not in line
    assert [path.name for path in tmp_path.iterdir()] == ["freeze.txt"]
    line = helpers.refusal(capsys, *options(tmp_path, "--limit", "2kB"))
    assert line.index("--without one") < line.index("--without two") < line.index("raise the limit")
    assert "--without optuna" in line and "--without diffusers" not in line
    code, out, err = helpers.command(
        capsys, *options(tmp_path, "--limit", f"{packed.size / 1024 - 100}KiB"), "--without", "one"
    )
    assert (code, err) == (0, "") and "left out: one: as asked" in out


def test_without(tmp_path, capsys):
    without = [word for name in ("one", "optuna", "tests") for word in ("--without", name)]
    assert helpers.command(capsys, *options(tmp_path, *without))[0] == 0
    found = contents(tmp_path / "pack")
    names = {member.name for member, _ in found}
    assert not [name for name in names if "/one/" in name or "optuna" in name or "alembic" in name or "/tests/" in name]
    # what the link and its other half led to is there all the same
    assert {member.name: member.isreg() for member, _ in found}["code/mic2e_bench/bundled/two/linked.safetensors"]
    line = helpers.refusal(capsys, *options(tmp_path, "--without", "optunna"))
    assert "unknown name 'optunna'. Did you mean 'optuna'?" in line and "two" in line


def test_the_folder(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "pack"
    folder.mkdir()
    assert helpers.command(capsys, *options(tmp_path))[0] == 0  # an empty one
    (folder / "stale").touch()
    assert helpers.command(capsys, *options(tmp_path))[0] == 0 and not (folder / "stale").exists()  # an earlier pack
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(site, "fetch", lambda *arguments: (_ for _ in ()).throw(errors.BadInput("no network")))
    assert "no network" in helpers.refusal(capsys, *options(tmp_path))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["freeze.txt", "pack"]
    (folder / "manifest.json").unlink()
    assert "not empty and no earlier pack" in helpers.refusal(capsys, *options(tmp_path))
    assert "is a file" in helpers.refusal(capsys, "pack", "--to", freeze(tmp_path))
    below = helpers.refusal(capsys, "pack", "--to", freeze(tmp_path) / "pack")
    assert "freeze.txt/pack: cannot be written" in below


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        ("numpy==1\n", (), "no torch in it"),
        ("Package Version\n", (), "line 1: 'Package Version' is no line of `pip freeze`"),
        ("torch==2.11.0\n", ("--torch", "2.10"), "has torch 2.11.0"),
        ("torch==1.0\n", (), "its CUDA is not known here. Known: 2.10, 2.11"),
        ("torch==2.11.0\n", ("--python", "3.9"), "unknown Python '3.9'"),
        ("torch==2.11.0\n", ("--limit", "60"), "--limit: '60' has no unit"),
    ],
)
def test_a_target_that_is_none(content, more, says, tmp_path, capsys):
    path = helpers.file(tmp_path / "has.txt", content)
    assert says in helpers.refusal(capsys, "pack", "--to", tmp_path / "pack", "--has", path, *more)


def test_the_target(tmp_path):
    found = target.read("3.12", None, freeze(tmp_path))
    assert (found.cuda, found.has["z-z"], "y" in found.has) == ("13.0", None, False)
    assert target.read("3.12", None, None).cuda == "13.0" and target.read("3.12", "2.10", None).cuda == "12.8"
    assert target.read("3.12", "2.11.0+cpu", None).cuda is None
    assert site.why_not("bitsandbytes/libbitsandbytes_cuda130.so", target.read("3.12", "2.11.0+cpu", None))


def test_what_is_lacking(tmp_path):
    machine = target.read("3.12", None, freeze(tmp_path))
    found = site.lacking(versions.pins(LOCK), machine, ["optuna", "diffusers", "torch"])
    assert {name: [pin.name for pin in held] for name, held in found.items()} == {
        "optuna": ["alembic", "optuna"], "diffusers": ["diffusers"],
    }  # fmt: skip


def test_uv_brings_the_locks_wheels(tmp_path, monkeypatch):
    monkeypatch.undo()
    tool = shutil.which("uv") or ROOT / ".uv" / "bin" / "uv"
    if not Path(tool).is_file():
        pytest.skip("uv is not installed")
    made = wheel(tmp_path, "optuna", "5.0")
    settings = helpers.file(tmp_path / "uv.toml", f"[pip]\nno-index = true\nfind-links = ['{tmp_path}']\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    machine = target.read(HERE, None, None)
    (good,) = versions.pins(f"optuna==5.0 \\\n    --hash=sha256:{digest}\n    # via x\n")
    site.fetch([good], machine, tmp_path / "site", str(tool))
    names = site.part("optuna", tmp_path / "site", machine, Counter(), True).files
    assert "site/optuna/__init__.py" in names and not [name for name in names if "bin/" in name or "REQUESTED" in name]
    (wrong,) = versions.pins(f"optuna==5.0 \\\n    --hash=sha256:{digest[::-1]}\n")
    with pytest.raises(errors.BadInput, match="uv could not fetch optuna: "):
        site.fetch([wrong], machine, tmp_path / "again", str(tool))


def test_no_uv(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.BadInput, match="make setup"):
        site.uv(tmp_path)
