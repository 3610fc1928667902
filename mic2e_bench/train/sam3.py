"""Training of the small SAM3: even steps teach the tracker (points, box), odd steps the detector (text).

Pictures are whole scenes squeezed to the model's square input, as its processor does it. A phrase ("red star") names
at most one thing of a scene, so matching queries to things is taking the cheapest query; a quarter of the phrases
name nothing that is there.
"""

from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from mic2e_bench.scenes import TRAINING_SEEDS, draw_scene, object_mask, render
from mic2e_bench.scenes.example import box_of, inner_point
from mic2e_bench.scenes.words import COLOURS, SHAPES
from mic2e_bench.train import architectures, sam3_parts, store, text

BATCH, LOW = 6, 4 * sam3_parts.GRID  # pictures a step; side of a predicted mask
ASPECTS = (1.0, 1.0, 4 / 3, 3 / 4, 1.5)
PHRASES = [f"{c} {s}" for c in COLOURS for s in SHAPES]


def squeeze(array: np.ndarray, side: int) -> torch.Tensor:
    """(height, width, channels) to (channels, side, side), bilinear with antialiasing."""
    tensor = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None]
    return F.interpolate(tensor, (side, side), mode="bilinear", antialias=True)[0]


def sample(rng: np.random.Generator, seed: int) -> dict:
    """A scene with one of its things chosen: picture, soft mask, box and a point, in the model's pixels."""
    scene = draw_scene(seed, float(rng.choice(ASPECTS)))
    short, side = 224, sam3_parts.SIZE
    which = int(rng.integers(len(scene.things)))
    mask = object_mask(scene, short, which)
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    pick = int(rng.integers(len(xs)))
    point = (int(xs[pick]), int(ys[pick])) if rng.random() < 0.5 else inner_point(mask)
    scale = np.array([side / width, side / height])
    return {
        "image": squeeze(render(scene, short), side) * 2 - 1,
        "mask": squeeze(mask[..., None], LOW)[0],
        "point": (np.array(point) + 0.5) * scale,
        "box": np.array(box_of(mask)).reshape(2, 2) * scale,
        "phrase": scene.things[which].phrase,
        "phrases": [t.phrase for t in scene.things],
    }


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


class Sam3Task:
    """Detector and tracker over one backbone; see `loop.Run` for what a task offers."""

    name, rate, decay = "sam3", 1e-3, 1e-3
    configuration: ClassVar = {"batch": BATCH, "size": sam3_parts.SIZE, "recipe": 4}

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
        self.held_out = [sample(rng, TRAINING_SEEDS.stop + i) for i in range(24)]

    def tokens(self, phrases: list[str]) -> dict:
        tokens = self.tokenizer(phrases, padding="max_length", max_length=32, return_tensors="pt")
        return {k: tokens[k].to(self.device) for k in ("input_ids", "attention_mask")}

    def ask_tracker(self, samples: list[dict], boxes: list[bool], several: bool):
        """One prompt a picture: a box where `boxes` says so, else a point. Points and boxes take two passes."""
        images = torch.stack([s["image"] for s in samples]).to(self.device)
        with_box = boxes[0]
        prompt = (
            {"input_boxes": self.tensor([s["box"].reshape(1, 4) for s in samples])}
            if with_box
            else {
                "input_points": self.tensor([s["point"].reshape(1, 1, 2) for s in samples]),
                "input_labels": torch.ones(len(samples), 1, 1, dtype=torch.long, device=self.device),
            }
        )
        return self.tracker(pixel_values=images, multimask_output=several, **prompt)

    def tensor(self, arrays: list) -> torch.Tensor:
        return torch.tensor(np.stack(arrays), dtype=torch.float32, device=self.device)

    def loss(self, batch) -> torch.Tensor:
        rng = batch.numpy
        samples = [sample(rng, int(rng.integers(TRAINING_SEEDS.stop))) for _ in range(BATCH)]
        target = torch.stack([s["mask"] for s in samples]).to(self.device)
        if batch.step % 2:
            return self.detector_loss(samples, target, rng)
        box = rng.random() < 0.5
        if box:
            for s in samples:
                s["box"] = s["box"] + rng.normal(0, 1.5, (2, 2))
        return self.tracker_loss(self.ask_tracker(samples, [box] * BATCH, batch.step % 4 == 0), target)

    def tracker_loss(self, output, target: torch.Tensor) -> torch.Tensor:
        """The best of the proposed masks learns the mask; every proposal learns to know its own IoU.

        Features stay of the size of the code of positions: where they outgrow it, a prompt's place is lost in them,
        and the decoder answers with whatever stands out. Left alone they grew to forty times that size.
        """
        logits = output.pred_masks[:, 0].float()
        each = mask_loss(logits, target[:, None])
        sure = (output.iou_scores[:, 0].float() - overlap(logits, target[:, None])).pow(2).mean()
        large = sum((level.float().pow(2).mean() - 1).clamp(min=0) for level in output.image_embeddings)
        return each.min(1).values.mean() + 0.05 * each.mean() + sure + 0.1 * large

    def detector_loss(self, samples: list[dict], target: torch.Tensor, rng) -> torch.Tensor:
        absent = rng.random(BATCH) < 0.25
        phrases = [
            str(rng.choice([p for p in PHRASES if p not in s["phrases"]])) if gone else s["phrase"]
            for s, gone in zip(samples, absent, strict=True)
        ]
        images = torch.stack([s["image"] for s in samples]).to(self.device)
        output = self.detector(pixel_values=images, **self.tokens(phrases))
        there = torch.tensor(~absent, device=self.device).float()
        boxes = self.tensor([s["box"].reshape(4) / sam3_parts.SIZE for s in samples])[:, None]
        masks, logits = output.pred_masks.float(), output.pred_logits.float()
        each_mask = mask_loss(masks, target[:, None])
        each_box = 5 * (output.pred_boxes.float() - boxes).abs().mean(-1)
        chosen = (each_mask + each_box - 2 * logits.sigmoid()).detach().argmin(1)
        row = torch.arange(BATCH, device=self.device)
        wanted = torch.zeros_like(logits)
        wanted[row, chosen] = there
        weight = 1 + 29 * wanted  # one query of sixteen: else none dares to pass the pipeline's threshold
        score = (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight).mean()
        presence = F.binary_cross_entropy_with_logits(output.presence_logits.float()[:, 0], there)
        whole = mask_loss(output.semantic_seg[:, 0], target * there[:, None, None])
        matched = each_mask[row, chosen] + each_box[row, chosen]
        return (there * matched).mean() + whole.mean() * 0.5 + score + presence

    def validate(self) -> dict:
        """Mean IoU on scenes outside of the training seeds, by kind of prompt."""
        target = torch.stack([s["mask"] for s in self.held_out])
        found = {
            "points": self.ask_tracker(self.held_out, [False], False).pred_masks[:, 0, 0],
            "box": self.ask_tracker(self.held_out, [True], False).pred_masks[:, 0, 0],
        }
        output = self.detector(
            pixel_values=torch.stack([s["image"] for s in self.held_out]).to(self.device),
            **self.tokens([s["phrase"] for s in self.held_out]),
        )
        best = output.pred_logits.argmax(1)
        found["text"] = output.pred_masks[torch.arange(len(best)), best]
        return {f"iou_{k}": round(float(overlap(v.cpu(), target).mean()), 3) for k, v in found.items()}

    def finish(self, where) -> None:
        store.install("sam3", (self.detector, self.tracker), where)
