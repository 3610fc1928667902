"""The small pipelines: the very classes and component names of the published ones, at a hundredth of their size.

Every function returns modules with seeded starting weights. Inner widths are multiples of 64 and attention has
at least 2 heads, so that slicing, fused projections and 4-bit quantisation meet real work.
"""

import diffusers
import torch
from transformers import CLIPConfig

from mic2e_bench.catalog.models.objectclear.postfuse import ObjectImageEncoder, PostfuseModule
from mic2e_bench.workshop.train import text

NOISE = dict(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading",
    prediction_type="v_prediction",
)  # fmt: skip
SEEDS = {
    "vae": 1, "text": 2, "text_2": 3, "t5": 4, "qwen": 5, "vision": 6, "postfuse": 7,
    "objectclear": 11, "sdxl-inpaint": 12, "flux-schnell": 13, "z-image-turbo": 14, "sam3": 15,
}  # fmt: skip


def vae() -> diffusers.AutoencoderKL:
    """Autoencoder, 8x down, 4 latent channels; the attention block begins as a no-op and may learn."""
    torch.manual_seed(SEEDS["vae"])
    model = diffusers.AutoencoderKL(
        block_out_channels=(16, 32, 64, 64), layers_per_block=1, norm_num_groups=8, latent_channels=4, sample_size=256,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, force_upcast=True,
    )  # fmt: skip
    with torch.no_grad():
        for part in (model.encoder, model.decoder):
            torch.nn.init.zeros_(part.mid_block.attentions[0].to_out[0].weight)
        model.quant_conv.weight[4:] = 0  # log-variance: a posterior that is almost a point
        model.quant_conv.bias[4:] = -10.0
    return model.eval()


def unet(seed: int) -> diffusers.UNet2DConditionModel:
    """SDXL's inpainting UNet (9 input channels), 3 levels, attention in the lower two."""
    torch.manual_seed(seed)
    return diffusers.UNet2DConditionModel(
        sample_size=64, in_channels=9, out_channels=4,
        block_out_channels=(32, 64, 128), layers_per_block=1, norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(1, 2, 4), use_linear_projection=True, transformer_layers_per_block=(1, 1, 1),
        addition_embed_type="text_time", addition_time_embed_dim=32, projection_class_embeddings_input_dim=6 * 32 + 64,
        cross_attention_dim=128,
    ).eval()  # fmt: skip


def sdxl_text() -> dict:
    """Both tokenizers and both text encoders of an SDXL pipeline."""
    one, two = text.clip_tokenizer(), text.clip_tokenizer()
    return {
        "tokenizer": one,
        "tokenizer_2": two,
        "text_encoder": text.clip_text(len(one), SEEDS["text"]),
        "text_encoder_2": text.clip_text(len(two), SEEDS["text_2"], projected=True),
    }


def objectclear() -> dict:
    """ObjectClear's components by name, with the two that diffusers does not know."""
    vision = dict(
        hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=8
    )
    small_text = dict(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=64,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    config = CLIPConfig(vision_config=vision, text_config=small_text, projection_dim=64)
    return {
        **sdxl_text(),
        "vae": vae(),
        "unet": unet(SEEDS["objectclear"]),
        "scheduler": diffusers.DDIMScheduler(**NOISE, clip_sample=False, set_alpha_to_one=False),
        "image_prompt_encoder": text.randomise(ObjectImageEncoder(config), SEEDS["vision"]),
        "postfuse_module": postfuse(),
    }


def postfuse() -> PostfuseModule:
    """From the vision model's projection (64) to the two text encoders' widths side by side (128)."""
    torch.manual_seed(SEEDS["postfuse"])
    return PostfuseModule(text_width=128, image_width=64).eval()


def sdxl_inpaint() -> diffusers.StableDiffusionXLInpaintPipeline:
    return diffusers.StableDiffusionXLInpaintPipeline(
        **sdxl_text(),
        vae=vae(),
        unet=unet(SEEDS["sdxl-inpaint"]),
        scheduler=diffusers.EulerDiscreteScheduler(**NOISE),
        add_watermarker=False,
    )


def flow_vae(model: diffusers.AutoencoderKL) -> diffusers.AutoencoderKL:
    """Flow pipelines read the shift of the latents, too; ours have none."""
    model.register_to_config(shift_factor=0.0)
    return model


def flux_schnell() -> diffusers.FluxPipeline:
    torch.manual_seed(SEEDS["flux-schnell"])
    transformer = diffusers.FluxTransformer2DModel(
        in_channels=16, num_layers=2, num_single_layers=4, attention_head_dim=32, num_attention_heads=4,
        joint_attention_dim=128, pooled_projection_dim=64, guidance_embeds=False, axes_dims_rope=(8, 12, 12),
    )  # fmt: skip
    clip, t5 = text.clip_tokenizer(), text.t5_tokenizer()
    return diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=flow_vae(vae()),
        tokenizer=clip,
        tokenizer_2=t5,
        text_encoder=text.clip_text(len(clip), SEEDS["text"]),
        text_encoder_2=text.t5_encoder(len(t5), SEEDS["t5"]),
        transformer=transformer.eval(),
    )


def z_image_turbo() -> diffusers.ZImagePipeline:
    torch.manual_seed(SEEDS["z-image-turbo"])
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=4, dim=192, n_layers=4, n_refiner_layers=1, n_heads=6, n_kv_heads=6, cap_feat_dim=128,
        axes_dims=[8, 12, 12], axes_lens=[1024, 512, 512],
    )  # fmt: skip
    for name in ("x_pad_token", "cap_pad_token"):
        torch.nn.init.normal_(getattr(transformer, name), std=0.02)
    tokenizer = text.qwen_tokenizer()
    return diffusers.ZImagePipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=flow_vae(vae()),
        tokenizer=tokenizer,
        text_encoder=text.qwen_encoder(len(tokenizer), SEEDS["qwen"]),
        transformer=transformer.eval(),
    )
