"""Bundled models share files by links: the same identity, nobody changed by another, clear words without links."""

import os
import shutil

import pytest

from mic2e_bench import paths
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.errors import BadInput
from mic2e_bench.workshop.train import bundle, sharing

VAE = "vae/diffusion_pytorch_model.safetensors"
FIRST, SECOND, THIRD = bundle.NAMES[:3]


def weights(letter):
    return letter.encode() * (sharing.LEAST_BYTES + 1)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """``install(name, vae)``: a model whose denoiser is its own and whose VAE is made of a letter."""

    def save(name, vae, folder):
        for part, content in {VAE: weights(vae), "unet/model.safetensors": weights("u") + name.encode()}.items():
            (folder / part).parent.mkdir(parents=True)
            (folder / part).write_bytes(content)
        (folder / "model_index.json").write_text("{}")

    monkeypatch.setattr(bundle, "save", save)
    return lambda name, vae: bundle.install(name, vae, tmp_path)


def vaes(folder):
    """By model: the letter of its VAE, and the model that it links to."""
    found = {}
    for name in (FIRST, SECOND, THIRD):
        path = folder / name / VAE
        owner = path.resolve().relative_to(folder).parts[0]
        found[name] = path.read_bytes()[:1].decode(), owner if path.is_symlink() else None
    return found


def test_models_share_and_keep_what_they_shared(install, tmp_path):
    for name in (THIRD, SECOND, FIRST):
        install(name, "a")
    assert vaes(tmp_path) == {FIRST: ("a", None), SECOND: ("a", FIRST), THIRD: ("a", FIRST)}
    assert not os.path.isabs(os.readlink(tmp_path / SECOND / VAE))
    identities = {name: sources.fingerprint(tmp_path / name) for name in (FIRST, SECOND, THIRD)}

    install(FIRST, "b")  # it held the file that the others link to
    assert vaes(tmp_path) == {FIRST: ("b", None), SECOND: ("a", None), THIRD: ("a", SECOND)}
    assert [sources.fingerprint(tmp_path / name) for name in (SECOND, THIRD)] == [
        identities[SECOND],
        identities[THIRD],
    ]
    install(THIRD, "b")
    assert vaes(tmp_path) == {FIRST: ("b", None), SECOND: ("a", None), THIRD: ("b", FIRST)}
    install(THIRD, "c")  # a link is replaced, never written through
    assert vaes(tmp_path) == {FIRST: ("b", None), SECOND: ("a", None), THIRD: ("c", None)}
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"model_index.json", "model.safetensors", "diffusion_pytorch_model.safetensors"}


def test_what_a_killed_process_left_is_not_written_through(install, tmp_path):
    for name in (FIRST, SECOND):
        install(name, "a")
    other = tmp_path / "other"
    other.write_bytes(weights("o"))
    (tmp_path / SECOND / f"{VAE}.new").symlink_to(other)
    install(FIRST, "b")
    assert vaes_of(tmp_path, FIRST, SECOND) == ["b", "a"] and other.read_bytes() == weights("o")


def vaes_of(folder, *names):
    return [(folder / name / VAE).read_bytes()[:1].decode() for name in names]


def test_a_file_system_without_links_keeps_copies(install, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no links here")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    for name in (FIRST, SECOND, THIRD):
        install(name, "a")
    assert vaes(tmp_path) == dict.fromkeys((FIRST, SECOND, THIRD), ("a", None))


def test_a_training_that_installs_in_its_own_folder_links_nothing(install, tmp_path):
    for run in (FIRST, SECOND):
        (tmp_path / run).mkdir()
        (tmp_path / run / "samples.json").write_bytes(weights("s"))
    install("vae", "a")
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", bundle.NAMES)
def test_a_model_of_links_is_the_model_of_copies(name, tmp_path):
    """A trial's identity, and with it every record, does not change with how the files are stored."""
    copies = shutil.copytree(paths.BUNDLED / name, tmp_path / "copies")
    linked = shutil.copytree(paths.BUNDLED / name, tmp_path / "linked")
    for number, path in enumerate(sorted(linked.rglob("*.safetensors"))):
        path.rename(tmp_path / str(number))
        path.symlink_to(os.path.relpath(tmp_path / str(number), path.parent))
    assert not any(path.is_symlink() for path in copies.rglob("*"))
    assert sources.fingerprint(copies) == sources.fingerprint(linked) == sources.fingerprint(paths.BUNDLED / name)


@pytest.fixture
def lone(tmp_path, monkeypatch):
    """A bundled model whose links are kept, without the model that they lead to."""
    copied = shutil.copytree(paths.BUNDLED / "sdxl-inpaint", tmp_path / "sdxl-inpaint", symlinks=True)
    monkeypatch.setattr(paths, "BUNDLED", tmp_path)
    return copied


@pytest.mark.parametrize("model", ["bundled", "random", "folder"])
def test_links_that_git_wrote_as_text_are_one_line(model, lone):
    """As a checkout with core.symlinks=false leaves them."""
    links = [path for path in lone.rglob("*") if path.is_symlink()]
    assert links
    for path in links:
        target = os.readlink(path)
        path.unlink()
        path.write_text(target)
    with pytest.raises(
        BadInput, match=r"study\.yaml: model: .* core\.symlinks true.*or put a copy of \.\./\.\./"
    ) as no:
        sources.resolve(str(lone) if model == "folder" else model, registry.pipeline("sdxl-inpaint"), "study.yaml")
    assert "\n" not in str(no.value)


@pytest.mark.parametrize("model", ["bundled", "random", "folder"])
def test_links_to_nothing_are_one_line(model, lone):
    with pytest.raises(BadInput, match=r"is a link to \.\./\.\./objectclear/.*which is not there.*cp -rL"):
        sources.resolve(str(lone) if model == "folder" else model, registry.pipeline("sdxl-inpaint"), "study.yaml")
