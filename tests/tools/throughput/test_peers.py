"""Another server on the same work: what is sent, what is measured, what is said to be unequal, and its faults."""

import asyncio
import base64
import json
import os
import re

import pytest
from PIL import Image
from small_comfyui import SmallComfyUI, png

from mic2e_bench.errors import BadInput
from mic2e_bench.run import failures
from mic2e_bench.tools.throughput import measure, record, serving, study
from mic2e_bench.tools.throughput.kind import Point
from mic2e_bench.tools.throughput.peers import asked, beside, comfyui, http, ours, unequal, weights, workflow

NODES = {
    "1": {"class_type": "Load", "inputs": {"file": "a.safetensors"}},
    "2": {"class_type": "Picture", "inputs": {"image": "x.png"}, "_meta": {"title": "the picture"}},
    "3": {"class_type": "Text", "inputs": {"model": ["1", 0], "text": ""}},
    "4": {"class_type": "Sample", "inputs": {"model": ["1", 0], "text": ["3", 0], "seed": 0, "image": ["2", 0]}},
    "5": {"class_type": "Save", "inputs": {"images": ["4", 0]}},
}
INPUTS = {"seed": "4.seed", "prompt": "3.text", "image": "the picture.image"}
FACTS = {
    "image": png(3),
    "mask": png(4),
    "sigmas": [1.0, 0.0],
    "noise": 1.4,
    "prediction": "eps",
    "scheduler": "EulerDiscreteScheduler",
    "words": [9],
}


@pytest.fixture
def server():
    with SmallComfyUI() as small:
        yield small


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nothing is loaded on our side: what it measures is measured elsewhere."""
    monkeypatch.setattr(measure.forkserver, "start", lambda: 0.0)
    monkeypatch.setattr(comfyui, "FREED_S", 0.0)
    monkeypatch.setattr(
        ours, "look", lambda trial, seed, log: {**FACTS, "picture": png(seed), "of_mean": png(seed + 1)}
    )
    monkeypatch.setattr(serving, "Server", OurServer)


class OurServer:
    def __init__(self, trial, log):
        pass

    def ready(self):
        return {"load_s": 0.1, "warmup_s": [0.1]}

    def call(self, seed):
        return {"service_s": 0.01, "digest": "ab"}

    def close(self):
        pass


def content(tmp_path, url, nodes=NODES, inputs=INPUTS, **more):
    (tmp_path / "flow.json").write_text(json.dumps(nodes))
    peer = {"url": url, "workflow": str(tmp_path / "flow.json"), "inputs": inputs, "runs": 6, "calls": 2, **more}
    peer = {key: value for key, value in peer.items() if value is not None}
    params = {"study": "other", "kind": "peer", "pipeline": "sdxl-inpaint", "inputs": {"limit": 1}}
    return {**params, "baseline": {"device": "cpu"}, "protocol": {"timeout_s": 5, "warmup": 1}, "peer": peer}


def measured(tmp_path, url, **more):
    found = study.resolve(content(tmp_path, url, **more))
    return measure.studies([found], tmp_path / "results")[0][0], found


def refused(tmp_path, url, **more):
    with pytest.raises(BadInput) as error:
        measured(tmp_path, url, **more)
    line = str(error.value)
    assert "\n" not in line and "\x1b" not in line
    assert not list((tmp_path / "results").glob("other/throughput/*"))
    return line


def test_both_sides_have_the_same_requests_and_every_call_is_worked_on(tmp_path, server):
    one, found = measured(tmp_path, server.url)
    assert (one.status, one.reason) == ("ok", "")
    assert [run["side"] for run in one.runs[:4]] == ["ours", "theirs", "theirs", "ours"]
    assert all(run["answers"]["status"] == ["ok", "ok"] for run in one.runs)
    assert server.freed == 6  # each run begins with the model loaded anew
    theirs = [run for run in one.runs if run["side"] == "theirs"]
    assert {value for run in theirs for value in run["answers"]["service_s"]} == {0.02}  # by its own messages
    both = [pair for run in theirs for pair in zip(run["answers"]["sent_s"], run["answers"]["ended_s"], strict=True)]
    assert all(ended > sent for sent, ended in both)
    assert not any(run["left_out"] for run in theirs)
    prompts = [prompt["3"]["inputs"]["text"] for prompt in server.prompts]
    assert len({prompt.rstrip() for prompt in prompts}) == 1
    assert len(set(server.uploads)) == len(server.uploads) == 3 * 6  # a warm-up and two calls, six times
    # the picture of the first seed: ours is the same as it is measured, and not with the mean
    assert one.raw["pictures"]["as_measured"] == {"psnr_db": 100.0, "most": 0, "resized": False}
    assert one.raw["pictures"]["with_the_mean"]["most"] == 1
    assert (tmp_path / "results/other/peer" / one.raw["pictures"]["theirs"]["file"]).read_bytes() == png(42)
    text = found.kind.text([one])
    assert "ours is 2.00" in text and "pictures: identical" in text
    assert "tokenizers are not CLIP's" in text
    assert "start it with --use-pytorch-cross-attention" in text
    figure = found.kind.figures([one])[0]
    assert (figure.of, round(figure.value, 6), figure.ci95) == ("over_peer", 2.0, None)
    assert figure.why.startswith("no verdict: ")
    assert measure.studies([found], tmp_path / "results")[0][0].id == one.id  # and is not measured twice
    assert record.problems(tmp_path / "results") == (1, [])


def test_an_equal_server_has_an_interval(tmp_path, server):
    server.argv = ["main.py", "--cpu", "--use-pytorch-cross-attention"]
    names = {**INPUTS, "guidance": "4.seed", "sigmas": "1.file", "noise": "1.file"}
    nodes = {**NODES, "4": {**NODES["4"], "inputs": {**NODES["4"]["inputs"], "cfg": 1}}}
    one, found = measured(tmp_path, server.url, nodes=nodes, inputs={**names, "guidance": "4.cfg"})
    figure = found.kind.figures([one])[0]
    assert (figure.why, [round(end, 6) for end in figure.ci95]) == ("", [2.0, 2.0])


def test_nodes_that_did_not_work_are_found(tmp_path, server):
    one, found = measured(tmp_path, server.url, nodes=NODES, inputs={"seed": "4.seed"}, runs=1)
    assert one.status == "ok"
    flow = workflow.Workflow(NODES, {"seed": ("4", "seed"), "prompt": ("3", "text")}, "")
    assert flow.fresh() == {"3", "4", "5"}  # the loader may stay as it is
    run = {**one.runs[-1], "left_out": ["4 Sample"]}
    again = record.ThroughputRecord.of({**one.raw, "runs": [*one.runs[:-1], run]})
    assert found.kind.figures([again])[0].why.startswith("no verdict: ")
    assert "did not run again in every call: 4 Sample" in found.kind.text([again])


def test_previews_are_counted(tmp_path, server):
    server.fault = "previews"
    one, found = measured(tmp_path, server.url, runs=1)
    assert "it made and sent 2 preview pictures" in found.kind.text([one])


def test_requests_that_arrive_by_themselves(tmp_path, server):
    one, _ = measured(tmp_path, server.url, runs=1, rate=200)
    sides = {run["side"]: run for run in one.runs}
    assert sides["ours"]["answers"]["intended_s"] == sides["theirs"]["answers"]["intended_s"]
    assert sides["ours"]["answers"]["intended_s"][0] > 0


@pytest.mark.parametrize(
    "fault, line",
    [
        ("redirect", r"/system_stats sends elsewhere \(http://example.org/else\), which is not followed"),
        ("garbage", "/system_stats answers no JSON object: '<html>"),
        ("huge", "/system_stats: the answer is larger than 1 MiB"),
        ("packed", "/system_stats: the answer is larger than 1 MiB"),
        ("cut", "/system_stats does not answer: .*Not enough data"),
        ("silent", "/system_stats: no answer within 0.3 s"),
    ],
)
def test_a_server_that_cannot_be_measured(tmp_path, server, fault, line, monkeypatch):
    monkeypatch.setattr(http, "MOST_BYTES", 1 << 20)
    client, timeout_s = asked.client, 0.3 if fault == "silent" else 30
    monkeypatch.setattr(asked, "client", lambda given, _: client(given, timeout_s))
    server.fault = fault
    assert re.search(line, refused(tmp_path, server.url))


def test_nobody_at_the_address(tmp_path):
    assert "does not answer: Connection refused." in refused(tmp_path, "http://127.0.0.1:9")


@pytest.mark.parametrize(
    "fault, line",
    [
        ("closes", "/ws was closed by the server in the middle: .*1011.*out of memory"),
        ("fails", r"node 4 \(Sample\): execution_error: no room"),
        ("slow", "the work was not done within 0.5 s"),
        ("no history", "/history/.* tells of no picture and its times"),
    ],
)
def test_a_call_that_fails_is_a_record(tmp_path, server, fault, line, monkeypatch):
    client, timeout_s = asked.client, 0.5 if fault == "slow" else 30
    monkeypatch.setattr(asked, "client", lambda given, _: client(given, timeout_s))
    server.fault = fault
    one, _ = measured(tmp_path, server.url)
    assert one.status == "error" and re.search(line, one.reason) and "\n" not in one.reason
    assert server.asked.count("POST /prompt") == 1  # nothing is asked again of a server that fails
    server.fault = ""
    assert measured(tmp_path, server.url)[0].status == "ok"  # and what failed is measured again


def test_what_is_no_picture(tmp_path, server):
    server.fault = "no picture"
    one, _ = measured(tmp_path, server.url, runs=1)
    assert one.status == "error" and "no picture" in one.reason


@pytest.mark.parametrize(
    "nodes, inputs, line",
    [
        ({**NODES, "5": {"class_type": "Save it", "inputs": {}}}, INPUTS, "node 5: unknown node .* 'Save it'. Did you"),
        ({**NODES, "5": {"class_type": "Save", "inputs": {}}}, INPUTS, r"node 5 \(Save\): the server needs its input"),
        ({**NODES, "1": {"class_type": "Load", "inputs": {"file": "c"}}}, INPUTS, "node 1 .*unknown file 'c'"),
        (NODES, {**INPUTS, "seed": "4.sed"}, "inputs: seed: node '4' has no input 'sed'. Did you mean 'seed'?"),
        (NODES, {**INPUTS, "seed": "9.seed"}, "inputs: seed: .* has no node '9'"),
        (NODES, {"prompt": "3.text"}, "seed is missing"),
        (NODES, {**INPUTS, "sead": "4.seed"}, "unknown input 'sead'. Did you mean 'seed'?"),
        ({"nodes": [], "links": []}, INPUTS, "is of the editor's format: export it as API format"),
        ({"1": {"class_type": "Load"}}, INPUTS, "is no workflow in ComfyUI's API format"),
        (
            {**NODES, "5": {"class_type": "Save", "inputs": {"images": ["8", 0]}}},
            INPUTS,
            "node 5 is linked to 8, which is",
        ),
    ],
)
def test_a_workflow_that_does_not_fit(tmp_path, server, nodes, inputs, line):
    assert re.search(line, refused(tmp_path, server.url, nodes=nodes, inputs=inputs))
    assert "POST /prompt" not in server.asked and not server.uploads


@pytest.mark.parametrize(
    "key, value, line",
    [
        ("url", "ftp://here", "is no address such as http://127.0.0.1:8188"),
        ("url", "http://me:secret@here", "is no address"),
        ("server", "comfy", "unknown server 'comfy'. Did you mean 'comfyui'?"),
        ("workflow", "nowhere.json", "nowhere.json cannot be read"),
        ("runs", 0, "runs: 0 is not a whole number"),
        ("rate", 0, "rate: 0 is no number of requests a second"),
        ("field", 1, "unknown key 'field'"),
    ],
)
def test_params_that_cannot_be_meant(tmp_path, key, value, line):
    given = content(tmp_path, "http://127.0.0.1:1")
    given["peer"][key] = value
    with pytest.raises(BadInput, match=line):
        study.resolve(given)


def test_without_an_address_it_is_this_machine(tmp_path):
    found = study.resolve(content(tmp_path, None))
    assert found.points[0].asked["url"] == "http://127.0.0.1:8188"


def test_without_the_extra_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aiohttp", None)
    with pytest.raises(BadInput, match=r"pip install '.\[throughput\]'"):
        http.Http("http://127.0.0.1:1", 1)


def endpoint(url, **more):
    fields = {"image": "image", "seed": "seed", "prompt": "prompt"}
    given = {"server": "endpoint", "url": url, "fields": fields, "answer": "images.0.data", **more}
    return asked.client(Point("", given).asked, 5)


def called(client):
    async def run():
        try:
            return await client.call({"image": png(3), "seed": 9, "prompt": "a wall"})
        finally:
            await client.close()

    return asyncio.run(run())


def test_an_endpoint_in_json_and_as_a_form(server):
    made = called(endpoint(f"{server.url}/make", seconds="timings.inference"))
    assert (made.content, made.service_s) == (png(9), 0.0001)
    assert called(endpoint(f"{server.url}/make", send="multipart")).content == png(7)
    body = called(endpoint(f"{server.url}/make", answer="body")).content
    assert base64.b64encode(png(9)).decode() in body.decode()


def test_an_endpoint_that_answers_otherwise(server):
    with pytest.raises(http.PeerError, match="the answer has no 'picture'; at 'picture' it has: images, timings"):
        called(endpoint(f"{server.url}/make", answer="picture"))
    with pytest.raises(http.PeerError, match="/nowhere answers 404: not here"):
        called(endpoint(f"{server.url}/nowhere"))


def test_an_endpoint_is_measured_without_an_interval(tmp_path, server):
    peer = {"server": "endpoint", "url": f"{server.url}/make", "answer": "images.0.data", "runs": 6, "calls": 1}
    given = {**content(tmp_path, ""), "peer": {**peer, "fields": {"image": "image", "seed": "seed"}}}
    found = study.resolve(given)
    one = measure.studies([found], tmp_path / "results")[0][0]
    assert one.status == "ok"
    assert "no interval: it cannot be told to load its model anew" in found.kind.text([one])
    assert found.kind.figures([one]) == []


def trial(**settings):
    return study.resolve(
        {"kind": "peer", "pipeline": "sdxl-inpaint", "model": "random", "inputs": {"limit": 1}}
        | {"baseline": {"device": "cpu", **settings}}
        | {"peer": {"server": "endpoint", "url": "http://127.0.0.1:1", "fields": {"seed": "seed"}}}
    ).study.baseline


@pytest.mark.parametrize(
    "settings, argv, line, bears",
    [
        ({"precision": "bf16"}, ["--cpu"], "unet in fp32, ours in bf16: start it with --bf16-unet", False),
        ({"precision": "bf16"}, ["--cpu", "--bf16-unet"], "computes in fp32, ours in bf16", False),
        ({}, ["--cpu", "--bf16-vae"], "vae in bf16, ours in fp32", False),
        ({}, ["--cpu", "--cache-none"], "it loads its models anew in every call", False),
        ({}, ["--cpu", "--use-split-cross-attention"], "attention: split-cross-attention, ours native", False),
        ({}, ["--cpu", "--force-channels-last"], "channels_last: one side has it", False),
        ({"vae_tiling": True}, ["--cpu"], "ours has vae_tiling: True", True),
    ],
)
def test_flags_that_make_it_unequal(settings, argv, line, bears):
    said = {"system": {"argv": argv, "pytorch_version": "2.1"}, "devices": [{"type": "cpu"}]}
    flow = workflow.Workflow(NODES, {"seed": ("4", "seed")}, "")
    found = unequal.of_server(trial(**settings), flow, said, {"packages": {"torch": "2.1"}})
    assert [one.bears for one in found if line in one.line] == [bears]


def test_other_weights_are_found():
    flow = workflow.Workflow(NODES, {"seed": ("4", "seed")}, "")
    said = {"system": {}, "devices": [], "weights": {"a": weights.identity(trial()), "b": "other", "c": ""}}
    lines = [one.line for one in unequal.of_server(trial(), flow, said, {})]
    assert "whether c are our weights cannot be seen" in lines
    assert any(line.startswith("b was written from other") for line in lines)
    assert not any(line.startswith("a was") for line in lines)


def test_weights_lie_where_the_loaders_look(tmp_path, monkeypatch):
    import safetensors
    import torch

    parts = {name: torch.nn.Linear(2, 2) for name in ("unet", "text_encoder", "text_encoder_2", "vae")}
    pipe = type("Pipe", (), parts)
    monkeypatch.setattr(weights, "loaded", lambda trial: type("Build", (), {"pipe": pipe}))
    with pytest.raises(BadInput, match="no folder diffusion_models or unet in it: give ComfyUI's folder"):
        weights.write(trial(), tmp_path)
    for name in ("unet", "text_encoders", "vae"):
        (tmp_path / "models" / name).mkdir(parents=True)
    written = dict(weights.write(trial(), tmp_path))
    names = [path.relative_to(tmp_path / "models").as_posix() for path in written]
    assert names[0] == "unet/mic2e-sdxl-inpaint-unet.safetensors"
    assert names[1] == "text_encoders/mic2e-sdxl-inpaint-clip_l.safetensors"
    with safetensors.safe_open(next(iter(written)), "pt") as file:
        assert file.metadata()[weights.KEY] == weights.identity(trial())
        assert torch.equal(file.get_tensor("weight"), parts["unet"].weight)


def test_a_text_encoder_is_named_as_its_files_are():
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    module = CLIPTextModel(CLIPTextConfig(vocab_size=9, **sizes))
    names = {weights.named(key, module) for key in module.state_dict()}
    assert "text_model.embeddings.token_embedding.weight" in names
    assert not any("text_model.text_model" in name for name in names)


def test_the_server_on_this_machine_is_no_disturbance_of_its_own_runs(server, monkeypatch):
    assert beside.process_at(server.url).pid == os.getpid()
    assert beside.process_at("http://127.0.0.1:9") is None
    during = {"seconds": 10.0, "cpu_by_others": 0.8, "cpu_stolen": 0, "throttled_s": 0, "swapped_pages": 0}
    during |= {"heat_events": 0, "slept_s": 0, "clock_jump_s": 0}
    monkeypatch.setattr(beside.conditions.Watch, "finish", lambda self: {"during": dict(during)})
    monkeypatch.setattr(beside.psutil, "cpu_count", lambda: 2)
    seconds = iter([100.0, 116.0, 100.0])
    monkeypatch.setattr(beside, "processor_s", lambda process: next(seconds))
    assert beside.Beside("cpu", server.url, serves=True).finish()["disturbed"] == []
    assert "80%" in beside.Beside("cpu", server.url, serves=False).finish()["disturbed"][0]


def test_a_text_is_sent_as_it_is_meant():
    assert comfyui.plain_text("a (red) wall") == r"a \(red\) wall"
    with pytest.raises(BadInput, match="'embedding:' is a file's name to ComfyUI"):
        comfyui.plain_text("embedding:thing")


def test_a_picture_is_a_picture_of_some_size():
    assert http.picture(png(1), "").size == (8, 8)
    with pytest.raises(http.PeerError, match="no picture"):
        http.picture(b"GIF89a", "here")
    assert isinstance(http.picture(png(1), ""), Image.Image)


def test_the_workflow_of_the_params_is_whole():
    found = study.read("params/throughput/comfyui-sdxl.yaml", ("model=random",))
    flow = asked.flow_of(found.points[0].asked)
    assert {"sampler", "decoded", "saved", "masked", "noisy"} <= flow.fresh()
    assert not {"unet", "clip", "vae", "sigmas", "scale"} & flow.fresh()
    study.read("params/throughput/endpoint-sdxl.yaml", ("model=random",))


def test_a_side_that_dies_is_a_failure_with_its_reason(tmp_path, server, monkeypatch):
    def dead(self, seed):
        raise failures.Told("oom", "no memory left")

    monkeypatch.setattr(OurServer, "call", dead)
    one, _ = measured(tmp_path, server.url)
    assert one.status == "error" and "of ours failed: no memory left" in one.reason
