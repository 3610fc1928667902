"""What a call does, stage by stage: condition, prepare, denoise, finish. Each takes the pipeline first.

The tensors that a step reads, and that a step callback may change, are one dict with diffusers' names:
latents, prompt_embeds, add_text_embeds, add_time_ids, mask, masked_image_latents. The last two are as long as
the latents: the batch is doubled for guidance at the UNet's door.
"""

from contextlib import contextmanager

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch.nn import functional

from .capture import guarded_hooks
from .fusion import fuse
from .inputs import OBJECT_INDEX
from .postfuse import object_pixels


def condition(pipe, prompts, negative_prompt, image, mask, copies, device, dtype):
    """Text and size conditioning, unconditional rows first under guidance; `copies` rows for each picture."""
    guided = pipe.do_classifier_free_guidance
    embeds, negative, pooled, negative_pooled = pipe.encode_prompt(
        prompts,
        device=device,
        num_images_per_prompt=copies,
        do_classifier_free_guidance=guided,
        negative_prompt=negative_prompt,
    )
    token = object_token(pipe, image.to(device), mask.to(device))
    embeds[:, OBJECT_INDEX] = token.repeat_interleave(copies, dim=0).to(embeds)
    height, width = image.shape[-2:]
    # SDXL's original size, crop and target size
    sizes = torch.tensor([[height, width, 0, 0, height, width]], device=device).repeat(len(embeds), 1)
    if guided:
        embeds, pooled, sizes = (
            torch.cat(halves) for halves in ((negative, embeds), (negative_pooled, pooled), (sizes, sizes))
        )
    named = {"prompt_embeds": embeds, "add_text_embeds": pooled, "add_time_ids": sizes}
    return {name: tensor.to(device, dtype) for name, tensor in named.items()}


def object_token(pipe, image, mask):
    """The text embedding of the object under the mask, (B, text width)."""
    encoder, postfuse = pipe.image_prompt_encoder, pipe.postfuse_module
    pixels = object_pixels(image, mask, encoder.config.vision_config.image_size)
    return postfuse(encoder(pixel_values=pixels.to(encoder.dtype)).to(postfuse.dtype))


def prepare(pipe, image, mask, timesteps, strength, generator, copies, device, dtype):
    """Return (tensors, noise, image latents); drawn in the order image latents, noise, masked latents."""
    draw = image_latents_sampler(pipe, image.to(device), generator, copies)
    image_latents = draw().to(dtype)
    # in float32 whatever the dtype, so that one seed is one noise and precisions can be compared
    noise = randn_tensor(image_latents.shape, generator=generator, device=device, dtype=torch.float32).to(dtype)
    if strength == 1:
        latents = noise * pipe.scheduler.init_noise_sigma
    else:
        latents = pipe.scheduler.add_noise(image_latents, noise, timesteps[:1].repeat(len(noise))).to(dtype)
    mask = functional.interpolate(mask, image_latents.shape[-2:]).repeat_interleave(copies, dim=0)
    tensors = {"latents": latents, "mask": mask.to(device, dtype), "masked_image_latents": draw().to(dtype)}
    return tensors, noise, image_latents


def image_latents_sampler(pipe, image, generator, copies):
    """Encode the pictures once; return a function that draws latents (B * copies, 4, h, w) from it.

    Like diffusers, one generator draws once per picture, for all its copies; a list draws for each copy.
    """
    vae, scale = pipe.vae, pipe.vae.config.scaling_factor
    with vae_in(vae, torch.float32 if vae.config.get("force_upcast") else vae.dtype):
        encoded = vae.encode(image.to(vae.dtype))
    if not hasattr(encoded, "latent_dist"):  # AutoencoderTiny has nothing to draw
        return lambda: scale * encoded.latents.repeat_interleave(copies, dim=0)
    parameters, after = encoded.latent_dist.parameters.float(), copies
    if isinstance(generator, list):
        parameters, after = parameters.repeat_interleave(copies, dim=0), 1
    posterior = DiagonalGaussianDistribution(parameters)
    return lambda: scale * posterior.sample(generator).repeat_interleave(after, dim=0)


def denoise(pipe, tensors, timesteps, background, step_arguments, callback, names):
    """Run the loop, changing `tensors` in place; afterwards the capture holds the last evaluation.

    background: None, or (noise, image latents) that replace what is outside of the mask after the first step.
    names: the tensors that `callback(pipe, step, timestep, tensors)` wants to see.
    """
    with pipe.progress_bar(total=len(timesteps)) as progress:
        for step, timestep in enumerate(timesteps):
            if pipe.interrupt:
                break
            pipe.capture.clear()
            latents = tensors["latents"]
            stepped = pipe.scheduler.step(
                predict(pipe, tensors, timestep), timestep, latents, **step_arguments, return_dict=False
            )
            tensors["latents"] = stepped[0].to(latents.dtype)
            if background is not None and step == 0:
                restore_background(pipe.scheduler, tensors, timesteps[1:2], *background)
            if callback is not None:
                chosen = {name: tensors[name] for name in names}
                tensors.update(callback(pipe, step, timestep, chosen) or {})
            progress.update()


def predict(pipe, tensors, timestep):
    """One UNet evaluation, with classifier-free guidance where the guidance scale is above 1."""
    latents = pipe.scheduler.scale_model_input(tensors["latents"], timestep)
    latents = torch.cat([latents, tensors["mask"], tensors["masked_image_latents"]], dim=1)
    guided = pipe.do_classifier_free_guidance
    with guarded_hooks():
        noise = pipe.unet(
            torch.cat([latents, latents]) if guided else latents,
            timestep,
            encoder_hidden_states=tensors["prompt_embeds"],
            added_cond_kwargs={
                "text_embeds": tensors["add_text_embeds"],
                "time_ids": tensors["add_time_ids"],
            },
            return_dict=False,
        )[0]
    if not guided:
        return noise
    without, within = noise.chunk(2)
    return without + pipe.guidance_scale * (within - without)


def restore_background(scheduler, tensors, next_timestep, noise, image_latents):
    """Outside of the mask, put the image latents noised to the next timestep; plain where there is none."""
    if len(next_timestep):
        image_latents = scheduler.add_noise(image_latents, noise, next_timestep.repeat(len(noise)))
    mask = tensors["mask"]
    tensors["latents"] = (1 - mask) * image_latents.to(mask.dtype) + mask * tensors["latents"]


def decode(pipe, latents):
    """Latents (B, 4, h, w) to pictures in [-1, 1]; a VAE that overflows in float16 decodes in float32."""
    vae = pipe.vae
    upcast = vae.dtype == torch.float16 and vae.config.get("force_upcast")
    with vae_in(vae, torch.float32 if upcast else vae.dtype):
        return vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]


def finish(pipe, latents, originals, maps, output_type):
    """Decode and, where there are maps, fuse each picture with its original; in the form of `output_type`."""
    if output_type == "latent":
        return latents
    decoded = decode(pipe, latents)
    if maps is None:
        return pipe.image_processor.postprocess(decoded, output_type=output_type)
    generated = (pipe.image_processor.postprocess(decoded, output_type="np") * 255).round().astype(np.uint8)
    originals = [original for original in originals for _ in range(len(generated) // len(originals))]
    fused = [
        fuse(np.asarray(original), picture, attention, decoded.device)
        for original, picture, attention in zip(originals, generated, maps, strict=True)
    ]
    if output_type == "pil":
        return [Image.fromarray(picture) for picture in fused]
    stacked = np.stack(fused).astype(np.float32) / 255
    return stacked if output_type == "np" else torch.from_numpy(stacked).permute(0, 3, 1, 2)


@contextmanager
def vae_in(vae, dtype):
    """The VAE in another dtype for a while; untouched where it has it already (a cast undoes other changes).

    torch's own `to`: diffusers' warns at each cast about modules to keep in float32, and then names none.
    """
    before = vae.dtype
    if dtype != before:
        torch.nn.Module.to(vae, dtype)
    try:
        yield
    finally:
        if dtype != before:
            torch.nn.Module.to(vae, before)
