"""The published architectures: class paths and configurations, from the ``config.json`` files of the hub repositories.

FLUX.1-schnell's, Z-Image's and SAM3's own classes have them as their defaults.
"""

from __future__ import annotations

from typing import Any

Part = tuple[str, dict[str, Any]]

CLIP_TEXT_L: Part = (
    "transformers.CLIPTextModel",
    {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
        "hidden_act": "quick_gelu",
    },
)
CLIP_TEXT_BIG_G: Part = (
    "transformers.CLIPTextModelWithProjection",
    {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "projection_dim": 1280,
        "hidden_act": "gelu",
    },
)
CLIP_VIT_L: Part = (
    "transformers.CLIPModel",
    {
        "projection_dim": 768,
        "text_config": {**CLIP_TEXT_L[1], "projection_dim": 768},
        "vision_config": {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "patch_size": 14,
            "image_size": 224,
            "projection_dim": 768,
        },
    },
)
T5_XXL: Part = (
    "transformers.T5EncoderModel",
    {
        "d_model": 4096,
        "d_ff": 10240,
        "d_kv": 64,
        "num_layers": 24,
        "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    },
)
QWEN3_4B: Part = (
    "transformers.Qwen3Model",
    {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
    },
)
_VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "sample_size": 1024,
}
SDXL_VAE: Part = (
    "diffusers.AutoencoderKL",
    {**_VAE, "latent_channels": 4, "scaling_factor": 0.13025, "force_upcast": True},
)
FLUX_VAE: Part = (
    "diffusers.AutoencoderKL",
    {
        **_VAE,
        "latent_channels": 16,
        "scaling_factor": 0.3611,
        "shift_factor": 0.1159,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    },
)
SDXL_UNET: Part = (
    "diffusers.UNet2DConditionModel",
    {
        "sample_size": 128,
        "in_channels": 9,
        "out_channels": 4,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 2,
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
)
SDXL_PARTS: dict[str, Part] = {
    "text_encoder": CLIP_TEXT_L,
    "text_encoder_2": CLIP_TEXT_BIG_G,
    "unet": SDXL_UNET,
    "vae": SDXL_VAE,
}
