"""A small SAM3: detector and tracker in one checkpoint, laid out as the published `facebook/sam3`.

The published checkpoint is a Sam3Video one: keys `detector_model.*`, `tracker_model.*` and `tracker_neck.*`, and a
config with `detector_config` and `tracker_config`. Sam3Model and Sam3TrackerModel each take their part of it.
The two share one vision backbone here too. What only video needs (memory) is left out.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    Sam3Config,
    Sam3Model,
    Sam3Processor,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    Sam3TrackerVideoConfig,
    Sam3VideoConfig,
)

from mic2e_bench.workshop.train import text

SIZE, PATCH, WIDTH, FPN = 224, 14, 128, 64  # pixels, pixels, backbone channels, neck channels
GRID = SIZE // PATCH
SHARPER = 2.0  # of the projections of attract(), so that a place stands out among its neighbours


def vision_config() -> dict:
    """ViT of 6 layers on 16 x 16 patches, with feature maps at 4, 2 and 1 times that grid."""
    backbone = dict(
        model_type="sam3_vit_model", hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=6,
        num_attention_heads=4, image_size=SIZE, patch_size=PATCH, window_size=8, global_attn_indexes=[2, 5],
        pretrain_image_size=SIZE, rope_parameters={"rope_type": "axial", "rope_theta": 10000.0},
    )  # fmt: skip
    sizes = [[k * GRID, k * GRID] for k in (4, 2, 1)]
    return dict(
        model_type="sam3_vision_model", backbone_config=backbone, fpn_hidden_size=FPN, backbone_feature_sizes=sizes
    )


def detector_config(vocab_size: int) -> Sam3Config:
    """Text (and boxes) to masks: 2 + 3 DETR layers, 16 queries."""
    layer = dict(hidden_size=FPN, num_attention_heads=4, intermediate_size=4 * FPN, dropout=0.0)
    words = dict(model_type="clip_text_model", **text.clip_config(vocab_size, width=64, positions=32))
    return Sam3Config(
        vision_config=vision_config(),
        text_config=words,
        geometry_encoder_config=layer | dict(num_layers=1),
        detr_encoder_config=layer | dict(num_layers=2),
        detr_decoder_config=layer | dict(num_layers=3, num_queries=16),
        mask_decoder_config=dict(hidden_size=FPN, num_attention_heads=4, dropout=0.0),
    )


def tracker_config() -> Sam3TrackerConfig:
    """Points and boxes to masks: SAM's prompt encoder and two-way decoder."""
    return Sam3TrackerConfig(
        vision_config=vision_config(),
        prompt_encoder_config=dict(hidden_size=FPN, image_size=SIZE, patch_size=PATCH),
        mask_decoder_config=dict(hidden_size=FPN, mlp_dim=4 * FPN, num_attention_heads=4, iou_head_hidden_dim=FPN),
    )


def build(seed: int) -> tuple[Sam3Model, Sam3TrackerModel]:
    """Detector and tracker with seeded weights and one backbone between them; the text encoder is frozen."""
    torch.manual_seed(seed)
    detector = Sam3Model(detector_config(len(text.clip_tokenizer())))
    tracker = Sam3TrackerModel(tracker_config())
    # points and picture positions must be coded alike; the class draws two codes and ties nothing
    tracker.prompt_encoder.shared_embedding = tracker.shared_image_embedding
    enliven(detector, seed)
    enliven(tracker, seed + 1)
    attract(tracker)
    text.randomise(detector.text_encoder, seed)
    tracker.vision_encoder.backbone = detector.vision_encoder.backbone
    return detector.eval(), tracker.eval()


def checkpoint_keys(detector: Sam3Model, tracker: Sam3TrackerModel) -> dict[str, torch.Tensor]:
    """The weights under the published checkpoint's names."""
    state = {f"detector_model.{k}": v for k, v in detector.state_dict().items()}
    for key, value in tracker.state_dict().items():
        if key.startswith("vision_encoder.neck."):
            state[key.replace("vision_encoder.neck.", "tracker_neck.")] = value
        elif not key.startswith("vision_encoder."):
            state[f"tracker_model.{key}"] = value
    return state


def save(detector: Sam3Model, tracker: Sam3TrackerModel, folder: Path) -> None:
    """Config, half-precision weights and the processor's files."""
    from transformers.models.sam3.image_processing_sam3 import Sam3ImageProcessor

    folder.mkdir(parents=True, exist_ok=True)
    keys = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    tracks = {key: getattr(tracker.config, key).to_dict() for key in keys} | {"image_size": SIZE}
    for key in keys[1:]:
        tracks[key].pop("model_type", None)
    video = Sam3VideoConfig(
        detector_config=detector.config.to_dict(),
        tracker_config=Sam3TrackerVideoConfig(**tracks).to_dict(),
        low_res_mask_size=4 * GRID,
    )
    config = video.to_dict() | {"architectures": ["Sam3VideoModel"], "dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    halves = {
        k: (v.half() if v.is_floating_point() else v).detach().cpu().contiguous()
        for k, v in checkpoint_keys(detector, tracker).items()
    }
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    size = {"height": SIZE, "width": SIZE}
    images = Sam3ImageProcessor(size=size, mask_size={"height": 4 * GRID, "width": 4 * GRID})
    tokenizer = text.clip_tokenizer()
    tokenizer.model_max_length = 32
    Sam3Processor(images, tokenizer, target_size=SIZE, point_pad_value=-10).save_pretrained(folder)


def attract(tracker: Sam3TrackerModel) -> None:
    """Let a prompt look at its own place, and a place at the prompt that is there, from the start.

    Queries and keys carry one code of positions; with one projection for both, equal places have the largest product,
    unless what a prompt is drowns where it is. Drawn apart, training has to find that first: after 15 minutes a point
    still moved nothing. Told apart by several prompts a picture as well, 8 minutes gave each thing its own mask.
    """
    prompts = tracker.prompt_encoder
    with torch.no_grad():
        for kinds in (prompts.point_embed, prompts.not_a_point_embed):
            kinds.weight.mul_(0.1)
        for name, module in tracker.mask_decoder.named_modules():
            if name.endswith(("attn_token_to_image", "attn_image_to_token")):
                module.q_proj.weight.mul_(SHARPER)
                module.k_proj.weight.copy_(module.q_proj.weight)


def enliven(model: torch.nn.Module, seed: int) -> None:
    """Starting weights of size 1/sqrt(inputs): the library's 0.02 suits widths of 1024 and mutes a width of 64."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding):
                module.weight.normal_(0, 1, generator=generator)
            elif isinstance(module, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
                module.weight.normal_(0, module.weight[0].numel() ** -0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
