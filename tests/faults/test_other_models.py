"""A folder that is another model, or not a whole one, is told in a line that names it, before anything is loaded."""

import json
import os
import shutil

import helpers
import model_folders
import pytest
from helpers import tiny
from model_folders import COMMITS, UNET

from mic2e_bench import paths
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.errors import BadInput

TEXT = "text_encoder/model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"


def resolved(model, name="sdxl-inpaint"):
    return sources.resolve(model if isinstance(model, dict) else str(model), registry.pipeline(name), "s.yaml")


def refused(model, name="sdxl-inpaint"):
    with pytest.raises(BadInput) as no:
        resolved(model, name)
    line = str(no.value)
    assert "\n" not in line and line.startswith("s.yaml: model: ")
    return line


# ---- what a folder is

KINDS = ["objectclear", "sdxl-inpaint", "flux-schnell", "z-image-turbo", "sam3"]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("folder", KINDS)
def test_a_folder_is_loaded_by_its_own_pipeline_only(folder, name):
    path = paths.BUNDLED / folder
    if folder == name:
        assert resolved(path, name)["source"] == "folder"
        return
    line = refused(path, name)
    assert str(path) in line
    says = "sam3_video" if folder == "sam3" else registry.pipeline(folder).class_name
    assert says in line, line


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sdxl-inpaint", "StableDiffusionXLPipeline"),  # what diffusers' AutoPipelineForInpainting takes for it
        ("sdxl-inpaint", "StableDiffusionXLImg2ImgPipeline"),
        ("flux-schnell", "FluxImg2ImgPipeline"),
        ("z-image-turbo", "ZImageImg2ImgPipeline"),
        ("objectclear", ["pipeline_objectclear", "ObjectClearPipeline"]),  # its own loader runs nothing of a folder
        ("sdxl-inpaint", None),
    ],
)
def test_classes_of_the_same_components_are_equivalent(name, says, tmp_path):
    folder = model_folders.copy(tmp_path / "model", name)
    _index(folder, _class_name=says)
    assert resolved(folder, name)["source"] == "folder"


@pytest.mark.parametrize("kind", ["sam3", "sam3_tracker"])
def test_a_part_of_sam3_is_sam3(kind, tmp_path):
    folder = model_folders.copy(tmp_path / "model", "sam3")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind}))
    assert resolved(folder, "sam3")["source"] == "folder"


def _index(folder, **changes):
    path = folder / "model_index.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def _config(folder, part, **changes):
    path = folder / part / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _put(path, content):
    path.write_bytes(content)


def _cut(path, left=-1000):
    path.write_bytes(path.read_bytes()[:left])


def _renamed(path, name):
    path.rename(path.with_name(name))


def _sharded(folder, keep=True, names=("a-1.safetensors", "a-2.safetensors")):
    path = folder / UNET
    for name in names:
        if "/" not in name and (keep or name != names[-1]):
            shutil.copy(path, path.with_name(name))
    path.unlink()
    index = {"metadata": {}, "weight_map": {str(number): name for number, name in enumerate(names)}}
    (folder / f"{UNET}.index.json").write_text(json.dumps(index))


def _variant(folder):
    for path in folder.rglob("*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))


def _alone(folder):
    shutil.copy(folder / UNET, folder.parent / "kept")
    shutil.rmtree(folder)
    folder.mkdir()
    shutil.move(folder.parent / "kept", folder / "sd_xl.safetensors")


GIT_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
BROKEN = {
    # of another class
    "of another pipeline": (lambda f: _index(f, _class_name="KandinskyPipeline"), "is KandinskyPipeline"),
    "with code of its own": (lambda f: _index(f, _class_name=["code", "X"]), '["code", "X"]'),
    "of no class's name": (lambda f: _index(f, _class_name=7), "is 7"),
    "a component of another class": (
        lambda f: _index(f, text_encoder=["transformers", "T5EncoderModel"]), "text_encoder is a T5EncoderModel",
    ),
    "a denoiser of another class": (
        lambda f: _index(f, unet=["diffusers", "FluxTransformer2DModel"]), "unet is a FluxTransformer2DModel",
    ),
    "a component of a library of its own": (lambda f: _index(f, unet=["evil", "UNet"]), "evil.UNet for unet"),
    "one more component of a library of its own": (lambda f: _index(f, extra=["os", "System"]), "os.System for extra"),
    "a scheduler that is none": (
        lambda f: _index(f, scheduler=["transformers", "CLIPTokenizer"]), "scheduler is a CLIPTokenizer",
    ),
    "a component whose configuration is another's": (
        lambda f: _config(f, "unet", _class_name="Flux2DModel"), "its unet is a Flux2DModel, says unet/config.json",
    ),
    "an encoder whose configuration is another's": (
        lambda f: _config(f, "text_encoder", model_type="t5"), "text_encoder is a t5, says text_encoder/config.json",
    ),
    "a component that the index has not": (lambda f: _index(f, unet=[None, None]), "has no unet, usually a UNet2D"),
    # what is not there
    "no folder of a component": (lambda f: shutil.rmtree(f / "vae"), "there is no folder vae"),
    "no folder of a tokenizer": (lambda f: shutil.rmtree(f / "tokenizer_2"), "there is no folder tokenizer_2"),
    "no weights": (lambda f: (f / TEXT).unlink(), "text_encoder has no model.safetensors"),
    "weights by another name": (lambda f: _renamed(f / UNET, "unet.safetensors"), "it has unet.safetensors"),
    "weights of another format": (lambda f: _renamed(f / UNET, "diffusion_pytorch_model.bin"), "it has diffusion_py"),
    "a download that did not end": (
        lambda f: _renamed(f / UNET, "diffusion_pytorch_model.safetensors.incomplete"), "the download of diffusion_py",
    ),
    "a missing shard": (lambda f: _sharded(f, keep=False), "a-2.safetensors is missing"),
    "a shard elsewhere": (lambda f: _sharded(f, names=("a-1.safetensors", "../../x")), "names no files of its folder"),
    "shards without names": (
        lambda f: (_sharded(f), _put(f / f"{UNET}.index.json", b'{"weight_map": {"a": [1], "b": {}}}')), "is missing",
    ),
    "no shards": (
        lambda f: (_sharded(f), _put(f / f"{UNET}.index.json", b'{"weight_map": [1]}')), "names no files of its folder",
    ),
    "an index of shards that is none": (
        lambda f: (_sharded(f), _put(f / f"{UNET}.index.json", b"[]")), "is no mapping",
    ),
    "no index": (lambda f: (f / "model_index.json").unlink(), "no model_index.json"),
    "fp16 alone": (_variant, "variant: fp16"),
    "a single file in a folder": (_alone, "sd_xl.safetensors is a single file"),
    "the folder above": (lambda f: (shutil.copytree(f, f / "x"), (f / "model_index.json").unlink()), "there is one in"),
    "no vocabulary": (lambda f: (f / "tokenizer_2/tokenizer.json").unlink(), "tokenizer_2 has no vocabulary"),
    "half a vocabulary": (
        lambda f: _renamed(f / "tokenizer/tokenizer.json", "vocab.json"), "tokenizer has no vocabulary",
    ),
    "no tokenizer in the index": (lambda f: _index(f, tokenizer=[None, None]), "model_index.json has no tokenizer"),
    # what is damaged
    "cut short": (lambda f: _cut(f / TEXT), f"{TEXT} is cut short"),
    "cut within its header": (lambda f: _cut(f / TEXT, 100), f"{TEXT} is cut short"),
    "a few bytes": (lambda f: _put(f / TEXT, b"abc"), f"{TEXT} is not a safetensors file"),
    "an error page": (lambda f: _put(f / TEXT, b"<!DOCTYPE html><html>" * 99), f"{TEXT} is not a safetensors file"),
    "too long": (lambda f: _put(f / TEXT, (f / TEXT).read_bytes() + b"x"), f"{TEXT} has 1 bytes after"),
    "a header that is no JSON": (
        lambda f: _put(f / TEXT, (4).to_bytes(8, "little") + b"{{{{"), f"{TEXT} is not a safetensors file",
    ),
    "a header of other JSON": (
        lambda f: _put(f / TEXT, (9).to_bytes(8, "little") + b'{"a": 17}'), f"{TEXT} is not a safetensors file",
    ),
    "empty weights": (lambda f: _put(f / VAE, b""), f"{VAE} is empty"),
    "an empty configuration": (lambda f: _put(f / "vae/config.json", b""), "vae/config.json is empty"),
    "a pointer of Git LFS": (lambda f: _put(f / VAE, GIT_LFS), f"{VAE} is what Git LFS has"),
    "a pointer for a tokenizer": (lambda f: _put(f / "tokenizer/tokenizer.json", GIT_LFS), "tokenizer.json is what"),
    "an index that is a pointer": (lambda f: _put(f / "model_index.json", GIT_LFS), "model_index.json is what Git LFS"),
    "JSON that is none": (lambda f: _cut(f / "tokenizer/tokenizer.json", 500), "tokenizer/tokenizer.json is not JSON"),
    "JSON that is not UTF-8": (lambda f: _put(f / "vae/config.json", b'{"\xff": 1}'), "vae/config.json is not JSON"),
    "brackets without end": (lambda f: _put(f / "vae/config.json", b"[" * 99999), "vae/config.json is not JSON"),
    "an index that is a list": (lambda f: _put(f / "model_index.json", b"[]"), "is no mapping"),
    "a configuration that is a list": (lambda f: _put(f / "unet/config.json", b"[]"), "is no mapping"),
    "a broken link": (
        lambda f: ((f / VAE).unlink(), (f / VAE).symlink_to("gone")), "is a link to gone, which is not there",
    ),
    "a broken link for a folder": (
        lambda f: (shutil.rmtree(f / "vae"), (f / "vae").symlink_to("gone")), "is a link to gone, which is not there",
    ),
    "a link to itself": (lambda f: ((f / VAE).unlink(), (f / VAE).symlink_to(f / VAE)), "which is not there"),
    "a pipe": (lambda f: ((f / VAE).unlink(), os.mkfifo(f / VAE)), f"{VAE} is no regular file"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_a_whole_model_is_named(case, tmp_path):
    folder = model_folders.copy(tmp_path / "model")
    damage, said = BROKEN[case]
    damage(folder)
    line = refused(folder)
    assert str(folder) in line and said in line, line


@pytest.mark.parametrize(
    "part", ["image_prompt_encoder/model.safetensors", "postfuse_module/model.safetensors", "postfuse_module"]
)
def test_the_parts_of_our_own_loader_must_be_there(part, tmp_path):
    folder = model_folders.copy(tmp_path / "model", "objectclear")
    path = folder / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert part.partition("/")[0] in refused(folder, "objectclear")


def test_sam3_without_its_weights(tmp_path):
    folder = model_folders.copy(tmp_path / "model", "sam3")
    (folder / "model.safetensors").rename(folder / "model.fp16.safetensors")
    assert "variant: fp16" in refused(folder, "sam3")


def _stranger(folder):
    (folder / "._model_index.json").write_bytes(b"\0\5\x16\7" + bytes(90))  # macOS leaves these
    (folder / "unet" / "._diffusion_pytorch_model.safetensors").write_bytes(b"\0\5\x16\7" + bytes(90))
    (folder / ".vscode").mkdir()
    (folder / ".vscode" / "settings.json").write_text("{// a remark\n}")


@pytest.mark.parametrize("change", [_sharded, _stranger], ids=["shards", "strangers"])
def test_what_is_whole_is_taken(change, tmp_path):
    folder = model_folders.copy(tmp_path / "model")
    change(folder)
    assert resolved(folder)["source"] == "folder"


# ---- single files, variants, the hub, the command line


@pytest.mark.parametrize("name", ["sdxl-inpaint", "objectclear"])
def test_a_single_file_is_told_what_to_do(name, tmp_path):
    path = model_folders.safetensors(tmp_path / "sd_xl.safetensors", 100)
    line = refused(path, name)
    assert str(path) in line and "single file" in line
    assert ("StableDiffusionXLInpaintPipeline.from_single_file" in line) is (name == "sdxl-inpaint")


def test_the_variant_that_a_folder_has_can_be_asked_for(tmp_path):
    folder = model_folders.copy(tmp_path / "model")
    _variant(folder)
    found = resolved({"source": str(folder), "variant": "fp16"})
    assert found["variant"] == "fp16"
    assert sources.location(found, registry.pipeline("sdxl-inpaint")) == (str(folder), {"variant": "fp16"})
    assert "variant: '../x'" in refused({"source": str(folder), "variant": "../x"})
    assert "variant: bundled" in refused({"source": "bundled", "variant": "fp16"})


@pytest.mark.parametrize("case", ["of another pipeline", "cut short"])
def test_a_copy_of_the_hub_is_looked_at_too(case, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = model_folders.copy(tmp_path / "model")
    shutil.rmtree(folder / "vae")  # not downloaded yet: no fault
    model_folders.hub(tmp_path / "hub", "me/whole", COMMITS[0], folder)
    assert resolved("me/whole")["revision"] == COMMITS[0]
    damage, said = BROKEN[case]
    damage(folder)
    model_folders.hub(tmp_path / "hub", "me/mine", COMMITS[0], folder)
    assert said in refused("me/mine")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_nothing_is_started_for_a_model_that_cannot_be(command, tmp_path, capsys):
    content = tiny(pipeline="sdxl-inpaint", model=str(paths.BUNDLED / "objectclear"))
    path = helpers.file(tmp_path / "s.yaml", content)
    line = helpers.refusal(capsys, command, path, "--results", tmp_path / "results")
    assert "is ObjectClearPipeline" in line and "'pipeline: objectclear' loads it" in line
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "~nobody/x", "/"])
def test_a_name_that_can_be_no_folder(name):
    refused(name)


# ---- what is only seen when it is loaded


def _without_tensors(path, count=2):
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    for name in sorted(tensors)[:count]:
        del tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})


LATE = {
    "a denoiser without some of its weights": (lambda f: _without_tensors(f / UNET), "no weights in unet", "BadInput"),
    "an encoder without some of its weights": (
        lambda f: _without_tensors(f / TEXT), "no weights in text_encoder for 2 of its", "BadInput",
    ),
    "a tokenizer of other JSON": (lambda f: _put(f / "tokenizer/tokenizer.json", b'{"a": 1}'), "", "BadInput"),
    "a configuration without sense": (lambda f: _config(f, "unet", block_out_channels="many"), "", "BadInput"),
    "damaged after planning": (lambda f: _cut(f / TEXT), f"{TEXT} is cut short", "BadInput"),
    "gone after planning": (lambda f: (f / TEXT).unlink(), "is not a whole model", "Unavailable"),
}  # fmt: skip


def loaded(model, name, **arguments):
    import torch

    from mic2e_bench.catalog.models.load import load
    from mic2e_bench.catalog.pipeline import Build

    return load(Build(registry.pipeline(name), load={"dtype": torch.float32, **arguments}), model)


@pytest.mark.parametrize("case", LATE)
def test_what_a_library_rejects_is_one_line_with_the_folder(case, tmp_path):
    folder = model_folders.copy(tmp_path / "model")
    model = resolved(folder)
    damage, said, kind = LATE[case]
    damage(folder)
    with pytest.raises((BadInput, RuntimeError)) as no:
        loaded(model, "sdxl-inpaint")
    line = str(no.value)
    assert type(no.value).__name__ == kind
    assert "\n" not in line and str(folder) in line and said in line, line


def test_a_part_of_sam3_answers_its_own_prompts_only(tmp_path):
    import transformers

    folder = model_folders.copy(tmp_path / "model", "sam3")
    transformers.Sam3Model.from_pretrained(folder).save_pretrained(folder)
    model = resolved(folder, "sam3")
    assert loaded(model, "sam3", prompt_kind="text").prompt_kind == "text"
    with pytest.raises(BadInput, match=r"it has no weights for points: .* are missing"):
        loaded(model, "sam3", prompt_kind="points")


def test_sam3_reads_no_phrase_without_a_vocabulary(tmp_path):
    folder = model_folders.copy(tmp_path / "model", "sam3")
    (folder / "tokenizer.json").unlink()
    model = resolved(folder, "sam3")
    with pytest.raises(BadInput, match="it has no vocabulary"):
        loaded(model, "sam3", prompt_kind="text")
    assert loaded(model, "sam3", prompt_kind="box").prompt_kind == "box"


@pytest.mark.parametrize("name", KINDS)
def test_what_is_whole_is_loaded(name, tmp_path):
    folder = model_folders.copy(tmp_path / "model", name)
    if name != "objectclear":  # its own loader takes a part that has no variants
        _variant(folder)
    given = {"source": str(folder), **({} if name == "objectclear" else {"variant": "fp16"})}
    arguments = {"prompt_kind": "text"} if name == "sam3" else {}
    pipe = loaded(resolved(given, name), name, **arguments)
    assert getattr(pipe, registry.pipeline(name).denoiser) is not None
