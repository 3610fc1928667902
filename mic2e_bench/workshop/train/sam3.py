"""Training of the small SAM3: even steps teach the tracker (points, box), odd steps the detector (text).

First the tracker's decoder alone, on features as they were drawn: then a prompt's place is all it has to go by.
Pictures have two things or more, and several prompts ask for things drawn from them: with one prompt a picture the
cheapest answer was whatever stands out, wherever the prompt was, and whatever the phrase. A phrase ("red star") names
at most one thing of a scene, so matching queries to things is taking the cheapest query; a quarter of the phrases name
nothing that is there.
"""

from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from mic2e_bench.workshop.scenes import TRAINING_SEEDS
from mic2e_bench.workshop.scenes.words import COLOURS, SHAPES
from mic2e_bench.workshop.train import architectures, bundle, sam3_parts, text
from mic2e_bench.workshop.train.sam3_samples import SceneSample

BATCH = 6  # pictures a step
ALONE = 0.2  # share of the training in which the tracker's decoder learns on features as drawn
PROMPTS, NAMED = 4, 3  # a picture, for tracker and detector: what to answer must depend on what is asked
PHRASES = [f"{c} {s}" for c in COLOURS for s in SHAPES]


def mask_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy plus dice for each mask: (..., h, w) to (...)."""
    logits = logits.float()
    target = target.expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((-1, -2))
    p = logits.sigmoid()
    dice = 1 - (2 * (p * target).sum((-1, -2)) + 1) / (p.sum((-1, -2)) + target.sum((-1, -2)) + 1)
    return 4 * entropy + dice


def overlap(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """IoU of thresholded masks: (..., h, w) to (...)."""
    a, b = logits > 0, target.expand_as(logits) > 0.5
    return (a & b).sum((-1, -2)) / (a | b).sum((-1, -2)).clamp(min=1)


def draw_things(sample: SceneSample, count: int, rng: np.random.Generator) -> list[int]:
    """Which things of a picture are asked for; the same one may come again."""
    return [(k + int(rng.integers(9))) % len(sample.masks) for k in range(count)]


class Sam3Task:
    """Detector and tracker over one backbone; see `loop.Run` for what a task offers."""

    name, rate, decay = "sam3", 1e-3, 1e-3
    configuration: ClassVar = {"batch": BATCH, "size": sam3_parts.SIZE, "recipe": 5}

    def __init__(self, device: torch.device):
        self.device = device
        self.detector, self.tracker = sam3_parts.build(architectures.SEEDS["sam3"])
        self.tokenizer = text.clip_tokenizer()
        # one list of modules without repeats: the backbone is inside the detector, the rest of the tracker beside it
        self.modules = {
            "detector": self.detector,
            "neck": self.tracker.vision_encoder.neck,
            "prompts": self.tracker.prompt_encoder,
            "decoder": self.tracker.mask_decoder,
            "places": self.tracker.shared_image_embedding,
        }
        self.tracker.to(device)
        rng = np.random.default_rng(1)
        self.held_out = [SceneSample(rng, TRAINING_SEEDS.stop + 1000 * i, least=2) for i in range(24)]

    def tokens(self, phrases: list[str]) -> dict:
        tokens = self.tokenizer(phrases, padding="max_length", max_length=32, return_tensors="pt")
        return {k: tokens[k].to(self.device) for k in ("input_ids", "attention_mask")}

    def images(self, samples: list[SceneSample]) -> torch.Tensor:
        return torch.stack([s.image for s in samples]).to(self.device)

    def answer(
        self, samples: list[SceneSample], points: np.ndarray, boxes: np.ndarray, several=False, *, as_drawn=False
    ):
        """The tracker asked by points, then by boxes: two outputs, masks as (pictures, prompts, 1 or 3, h, w).

        points: (pictures, prompts, 2); boxes: (pictures, prompts, 4), in the model's pixels. The second call takes the
        first one's features; as_drawn: no gradient reaches them, as the model's own method for features has it.
        """
        labels = torch.ones(*points.shape[:2], 1, dtype=torch.long, device=self.device)
        images = self.images(samples)
        seen = {"image_embeddings": self.tracker.get_image_embeddings(images)} if as_drawn else {"pixel_values": images}
        asked = {"input_points": self.tensor(points)[:, :, None], "input_labels": labels}
        by_points = self.tracker(**seen, **asked, multimask_output=several)
        seen = {"image_embeddings": by_points.image_embeddings}
        return by_points, self.tracker(**seen, input_boxes=self.tensor(boxes), multimask_output=several)

    def tensor(self, arrays) -> torch.Tensor:
        return torch.tensor(np.stack(arrays), dtype=torch.float32, device=self.device)

    def loss(self, batch) -> torch.Tensor:
        rng, alone = batch.numpy, batch.progress < ALONE
        samples = [SceneSample(rng, int(rng.integers(TRAINING_SEEDS.stop)), least=2) for _ in range(BATCH)]
        if batch.step % 2 and not alone:
            return self.detector_loss(samples, rng)
        return self.tracker_loss(samples, rng, several=batch.step % 4 in (0, 1), as_drawn=alone)

    def tracker_loss(self, samples: list[SceneSample], rng, *, several: bool, as_drawn: bool) -> torch.Tensor:
        """Each picture is asked for some of its things, by points and by boxes.

        Features stay of the size of the code of positions: where they outgrow it, a prompt's place is lost in them,
        and the decoder answers with whatever stands out. Left alone they grew to forty times that size.
        """
        asked = [(s, draw_things(s, PROMPTS, rng)) for s in samples]
        target = torch.stack([torch.stack([s.masks[k] for k in things]) for s, things in asked])
        points = np.stack([[s.point(k, rng) for k in things] for s, things in asked])
        boxes = np.stack([[s.box(k) for k in things] for s, things in asked])
        boxes = (boxes + rng.normal(0, 1.5, boxes.shape)).reshape(BATCH, PROMPTS, 4)
        found = self.answer(samples, points, boxes, several, as_drawn=as_drawn)
        large = sum((level.float().pow(2).mean() - 1).clamp(min=0) for level in found[0].image_embeddings)
        return sum(self.proposals_loss(output, target.to(self.device)) for output in found) / 2 + 0.1 * large

    def proposals_loss(self, output, target: torch.Tensor) -> torch.Tensor:
        """The best of the proposed masks learns the mask (pictures, prompts, h, w); each learns to know its own IoU."""
        logits = output.pred_masks.float()
        each = mask_loss(logits, target[:, :, None])
        sure = (output.iou_scores.float() - overlap(logits, target[:, :, None])).pow(2).mean()
        return each.min(2).values.mean() + 0.05 * each.mean() + sure

    def detector_loss(self, samples: list[SceneSample], rng) -> torch.Tensor:
        """Each picture is asked for some of its things, by phrases; the cheapest query learns the thing."""
        absent = rng.random(BATCH * NAMED) < 0.25
        asked = [(s, k) for s in samples for k in draw_things(s, NAMED, rng)]
        phrases = [
            str(rng.choice([p for p in PHRASES if p not in s.phrases])) if gone else s.phrases[k]
            for (s, k), gone in zip(asked, absent, strict=True)
        ]
        target = torch.stack([s.masks[k] for s, k in asked]).to(self.device)
        boxes = self.tensor([s.box(k).reshape(4) / sam3_parts.SIZE for s, k in asked])[:, None]
        output = self.detector(vision_embeds=self.seen_again(samples), **self.tokens(phrases))
        there = torch.tensor(~absent, device=self.device).float()
        masks, logits = output.pred_masks.float(), output.pred_logits.float()
        each_mask = mask_loss(masks, target[:, None])
        each_box = 5 * (output.pred_boxes.float() - boxes).abs().mean(-1)
        chosen = (each_mask + each_box - 2 * logits.sigmoid()).detach().argmin(1)
        row = torch.arange(len(asked), device=self.device)
        wanted = torch.zeros_like(logits)
        wanted[row, chosen] = there
        weight = 1 + 29 * wanted  # one query of sixteen: else none dares to pass the pipeline's threshold
        score = (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight).mean()
        presence = F.binary_cross_entropy_with_logits(output.presence_logits.float()[:, 0], there)
        whole = mask_loss(output.semantic_seg[:, 0], target * there[:, None, None])
        matched = each_mask[row, chosen] + each_box[row, chosen]
        return (there * matched).mean() + whole.mean() * 0.5 + score + presence

    def seen_again(self, samples: list[SceneSample]):
        """The detector's features of the pictures, each NAMED times."""
        seen = self.detector.vision_encoder(self.images(samples))
        for key in ("fpn_hidden_states", "fpn_position_encoding"):
            seen[key] = tuple(level.repeat_interleave(NAMED, 0) for level in seen[key])
        return seen

    def validate(self) -> dict:
        """Mean IoU on scenes outside of the training seeds, by kind of prompt; each is asked for its last thing."""
        samples, rng = self.held_out, np.random.default_rng(2)
        target = torch.stack([s.masks[-1] for s in samples])
        points, boxes = np.stack([s.point(-1, rng)[None] for s in samples]), np.stack([s.box(-1) for s in samples])
        outputs = zip(("points", "box"), self.answer(samples, points, boxes.reshape(-1, 1, 4)), strict=True)
        found = {kind: output.pred_masks[:, 0, 0] for kind, output in outputs}
        output = self.detector(pixel_values=self.images(samples), **self.tokens([s.phrases[-1] for s in samples]))
        best = output.pred_logits.argmax(1)
        found["text"] = output.pred_masks[torch.arange(len(best)), best]
        return {f"iou_{k}": round(float(overlap(v.cpu(), target).mean()), 3) for k, v in found.items()}

    def finish(self, where) -> None:
        bundle.install("sam3", (self.detector, self.tracker), where)
