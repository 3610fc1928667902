"""Training: the same steps after a stop as without one, and a clear line for everything that can't be used."""

import json

import numpy as np
import pytest
import torch

from mic2e_bench import paths
from mic2e_bench.errors import BadInput
from mic2e_bench.workshop.scenes import object_mask, render
from mic2e_bench.workshop.train import __main__ as command
from mic2e_bench.workshop.train import bundle, evaluate, picture_check, text
from mic2e_bench.workshop.train.latents import SHARD, LatentPool, growing
from mic2e_bench.workshop.train.loop import Training, read_checkpoint, train
from mic2e_bench.workshop.train.noise import flow, v_prediction
from mic2e_bench.workshop.train.samples import scene_of

CPU = torch.device("cpu")


class ToyTask:
    """Fits a line; stands in for a model where only the loop is tested."""

    name, rate, decay = "toy", 1e-2, 0.0

    def __init__(self, stop_at=None, **configuration):
        torch.manual_seed(0)
        self.model, self.stop_at, self.configuration = torch.nn.Linear(3, 1), stop_at, configuration
        self.modules = {"line": self.model}

    def loss(self, batch):
        if batch.step == self.stop_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 3, generator=batch.torch)
        return (self.model(x) - x.sum(1, keepdim=True)).pow(2).mean()

    def validate(self):
        return {"weight": float(self.model.weight.mean())}

    def finish(self, where):
        (where / self.name).mkdir(parents=True, exist_ok=True)


def run_toy(folder, steps, stop_at=None, resume=False, **configuration):
    run = Training(ToyTask(stop_at, **configuration), folder / "state", 0, CPU)
    if resume:
        assert run.load()
    train(run, folder / "models", minutes=None, steps=steps, say=lambda line: None)
    return run


def test_a_killed_training_resumes_with_the_same_steps(tmp_path, monkeypatch):
    monkeypatch.setattr("mic2e_bench.workshop.train.loop.SAVE_EVERY_S", 0)
    whole = run_toy(tmp_path / "whole", 12)
    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path / "cut", 12, stop_at=7)
    resumed = run_toy(tmp_path / "cut", 12, resume=True)
    assert resumed.step == whole.step == 12
    for a, b in zip(whole.parameters + whole.average, resumed.parameters + resumed.average, strict=True):
        assert torch.equal(a, b)


def test_training_installs_and_leaves_its_facts(tmp_path):
    run = run_toy(tmp_path, 5)
    facts = json.loads((tmp_path / "models" / "toy" / "training.json").read_text())
    assert facts["steps"] == 5
    assert facts["parameters"] == 4
    assert facts["curve"] == run.history


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    run_toy(tmp_path, 2)
    path = tmp_path / "state" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match=r"^.*checkpoint.pt is damaged \(\w+\); delete it, or give --no-resume$"):
        read_checkpoint(path, {})


def test_a_checkpoint_of_another_configuration_is_named(tmp_path):
    run_toy(tmp_path, 2, width=3)
    with pytest.raises(BadInput, match=r"another configuration \(width differ\)"):
        run_toy(tmp_path, 2, resume=True, width=4)


def test_a_stopped_training_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mic2e_bench.workshop.train.tasks.train_one", stop)
    assert command.main(["sam3", "--out", str(tmp_path)]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_no_checkpoint_is_a_fresh_start(tmp_path):
    assert read_checkpoint(tmp_path / "none.pt", {}) is None


@pytest.mark.parametrize("main", [command.main, evaluate.main])
def test_an_unknown_model_is_answered_with_the_nearest(main, capsys):
    assert main(["objectclaer"]) == 2
    assert "Did you mean 'objectclear'?" in capsys.readouterr().err


def test_a_denoiser_without_an_autoencoder_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mic2e_bench.paths.BUNDLED", tmp_path)
    assert command.main(["flux-schnell", "--steps", "1", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert "run python -m mic2e_bench.workshop.train vae first" in error
    assert "\n" not in error


def test_damaged_autoencoder_weights_are_one_line(tmp_path, capsys):
    folder = tmp_path / "vae" / "vae"
    folder.mkdir(parents=True)
    source = paths.BUNDLED / "objectclear" / "vae"
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    weights = source / "diffusion_pytorch_model.safetensors"
    (folder / weights.name).write_bytes(weights.read_bytes()[:1000])
    assert command.main(["flux-schnell", "--steps", "1", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert "is damaged; train it again" in error
    assert "\n" not in error


def test_the_autoencoder_trains_and_is_written(tmp_path):
    arguments = ["vae", "--steps", "2", "--out", str(tmp_path), "--device", "cpu"]
    assert command.main(arguments) == 0
    assert (tmp_path / "vae" / "vae" / "diffusion_pytorch_model.safetensors").exists()
    state = torch.load(tmp_path / "vae" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 2


def test_a_pool_makes_each_sample_once_and_mends_damaged_files(tmp_path):
    made = []

    def make(i):
        made.append(i)
        return {"x": torch.full((2,), float(i)).half()}

    LatentPool(tmp_path, make).grow(10)
    pool = LatentPool(tmp_path, make)
    pool.grow(10)
    assert made == list(range(SHARD))
    assert pool.take([3, 5])["x"].tolist() == [[3, 3], [5, 5]]
    pool.path(0).write_bytes(b"damaged")
    LatentPool(tmp_path, make).grow(1)
    assert len(made) == 2 * SHARD


def test_a_pool_grows_with_the_steps():
    assert growing(128, 1024, 0, 2) == 128
    assert growing(128, 1024, 10, 2) == 256
    assert growing(128, 1024, 10**6, 2) == 1024


def test_the_removal_prompt_has_object_where_the_pipeline_looks():
    tokens = text.clip_tokenizer()("remove the instance of object")
    words = text.clip_tokenizer().convert_ids_to_tokens(tokens.input_ids)
    assert words[5] == "object</w>"
    assert tokens.input_ids[0] == 0


def test_tokenizers_number_their_words_the_same_each_time():
    caption = "a red star at the left on blue and white stripes"
    for make in (text.clip_tokenizer, text.t5_tokenizer, text.qwen_tokenizer):
        assert make()(caption).input_ids == make()(caption).input_ids
        assert len(set(make()(caption).input_ids)) >= 11


def test_v_prediction_is_what_the_scheduler_inverts():
    from diffusers import DDIMScheduler

    from mic2e_bench.workshop.train.architectures import NOISE

    scheduler = DDIMScheduler(**NOISE, clip_sample=False, set_alpha_to_one=False)
    clean, eps, t = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3), torch.tensor([900, 900])
    noisy, velocity = v_prediction(clean, eps, t)
    assert torch.allclose(noisy, scheduler.add_noise(clean, eps, t), atol=1e-4)
    scheduler.set_timesteps(10)
    back = scheduler.step(velocity, 900, noisy).pred_original_sample
    assert torch.allclose(back, clean, atol=1e-3)


def test_flow_goes_from_picture_to_noise():
    clean, eps = torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2)
    assert flow(clean, eps, torch.tensor([0.25]))[0].mean() == 0.25


def test_the_caption_check_knows_drawn_scenes_from_wrong_words():
    scenes = [scene_of(10**8 + i) for i in range(16)]
    words = [(s.things[0].colour, s.things[0].shape) for s in scenes]
    found = picture_check.rates([render(s, 128) for s in scenes], words)
    assert found["colour_and_shape"] > 0.8
    assert found["colour_and_shape_by_chance"] < 0.3
    noise = np.random.default_rng(0).random((96, 96, 3))
    assert picture_check.look_for(noise, "red") is None


def test_a_reader_is_asked_for_every_word_of_the_caption():
    from mic2e_bench.workshop.train.reading import QUESTIONS, answers

    for scene in (scene_of(i) for i in range(20)):
        found = [choices[k] for choices, k in zip(QUESTIONS, answers(scene), strict=True)]
        words = set(scene.caption.split()) - {"a", "an", "at", "the", "on", "and"}
        assert set(found) == words


def test_a_reader_learns_from_shown_captions_alone():
    from mic2e_bench.workshop.train.reading import Reader

    torch.manual_seed(0)
    reader, scenes, summary = Reader((8,)), [scene_of(1), scene_of(2)], torch.randn(2, 8, requires_grad=True)
    reader.loss([summary], scenes, torch.tensor([True, False])).backward()
    assert summary.grad[0].abs().sum() > 0
    assert summary.grad[1].abs().sum() == 0


def test_the_things_share_of_latent_pixels_is_its_area():
    from mic2e_bench.workshop.train.samples import covered

    scenes = [scene_of(i) for i in range(6)]
    areas = [object_mask(s, 256).mean() for s in scenes]
    assert covered(scenes, 256).shape == (6, 1, 32, 32)
    assert covered(scenes, 256).mean((1, 2, 3)).tolist() == pytest.approx(areas, abs=0.01)


@pytest.mark.parametrize("name", ["flux-schnell", "z-image-turbo"])
def test_a_generation_model_learns_guidance_from_its_own_empty_caption(name, tmp_path, monkeypatch):
    from mic2e_bench.workshop.train import samples, tasks
    from mic2e_bench.workshop.train.loop import Batch

    monkeypatch.setattr(samples, "BATCHES", {128: 3})
    monkeypatch.setattr(samples, "MOST", {128: 1})
    monkeypatch.setattr(samples, "SIDE", 128)
    monkeypatch.setattr(samples, "side_of", lambda batch: 128)
    monkeypatch.setattr("mic2e_bench.workshop.train.latents.SHARD", 4)
    task = tasks.make_task(name, CPU, tmp_path)
    asked = []
    read = task.read
    monkeypatch.setattr(task, "read", lambda captions, length: asked.append(captions) or read(captions, length))
    task.loss(Batch(0, 0, 0.9)).backward()
    assert asked[1] == ["", "", ""] != asked[0]
    encoders = [module for part, module in task.modules.items() if part.startswith("text_encoder")]
    assert all(any(p.grad is not None and p.grad.abs().sum() > 0 for p in m.parameters()) for m in encoders)
    asked.clear()
    task.loss(Batch(0, 0, 0.1))
    assert len(asked) == 1


def test_a_prompt_for_the_segmenter_lies_on_the_thing_that_is_meant():
    from mic2e_bench.workshop.train.sam3_parts import SIZE
    from mic2e_bench.workshop.train.sam3_samples import LOW, SceneSample

    rng = np.random.default_rng(0)
    sample = SceneSample(rng, 5, least=3)
    assert len(sample.masks) == 3
    for k, mask in enumerate(sample.masks):
        for _ in range(4):
            x, y = (sample.point(k, rng) * LOW / SIZE).astype(int)
            assert mask[y, x] > 0.1
        (left, top), (right, bottom) = sample.box(k) * LOW / SIZE
        ys, xs = np.nonzero(mask.numpy() > 0.5)
        assert (left - 1.5 <= xs.min()) and (xs.max() <= right + 1.5)
        assert (top - 1.5 <= ys.min()) and (ys.max() <= bottom + 1.5)


def test_the_segmenter_learns_its_features_once_its_decoder_had_its_time():
    from mic2e_bench.workshop.train.loop import Batch
    from mic2e_bench.workshop.train.sam3 import ALONE, Sam3Task

    task = Sam3Task(CPU)
    backbone = list(task.tracker.vision_encoder.parameters())

    def reached(step, progress):
        task.detector.zero_grad()
        task.tracker.zero_grad()
        task.loss(Batch(0, step, progress)).backward()
        return any(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone)

    assert not reached(0, ALONE / 2)
    assert not reached(1, ALONE / 2)  # the tracker's turn, too
    assert reached(2, 2 * ALONE)
    assert task.detector.detr_decoder.box_head.layer1.weight.grad is None
    assert reached(3, 2 * ALONE)
    assert task.detector.detr_decoder.box_head.layer1.weight.grad is not None


def test_a_model_is_replaced_whole_and_its_papers_stay(tmp_path, monkeypatch):
    def save(name, parts, folder):
        folder.mkdir()
        (folder / "weights").write_text(parts)

    monkeypatch.setattr(bundle, "save", save)
    bundle.install("toy", "old", tmp_path)
    (tmp_path / "toy" / "README.md").write_text("card")
    (tmp_path / "toy" / "left over").write_text("")
    bundle.install("toy", "new", tmp_path)
    assert sorted(p.name for p in (tmp_path / "toy").iterdir()) == ["README.md", "weights"]
    assert (tmp_path / "toy" / "weights").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_bundled_models_stay_small():
    sizes = {
        name: sum(p.stat().st_size for p in (paths.BUNDLED / name).rglob("*") if p.is_file()) for name in bundle.NAMES
    }
    assert all(size <= 15e6 for size in sizes.values()), sizes
    assert sum(sizes.values()) <= 60e6


def test_a_card_says_when_nothing_was_trained_and_when_figures_are_old(tmp_path):
    from mic2e_bench.workshop.train.card import write_card

    assert "Not trained" in write_card("sam3", tmp_path).read_text()
    training = {"steps": 20, "work_s": 60.0, "device": "cpu", "seed": 0, "parameters": 10, "curve": []}
    (tmp_path / "training.json").write_text(json.dumps(training))
    figures = {"scenes": 15, "more": 2, "steps_trained": 10, "tables": {"text": {"bundled": 0.5}}}
    (tmp_path / "evaluation.json").write_text(json.dumps(figures))
    assert "figures are of step 10, the weights of step 20" in write_card("sam3", tmp_path).read_text()


def test_an_absent_cuda_device_is_one_line(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    assert command.main(["vae", "--device", "cuda", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("--device cuda: no CUDA device is here")
