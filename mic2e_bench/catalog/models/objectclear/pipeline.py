"""The ObjectClear pipeline (arXiv 2505.22636) on diffusers' SDXL parts, so that its facilities all apply."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from diffusers import StableDiffusionXLInpaintPipeline
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_inpaint import retrieve_timesteps
from diffusers.utils import BaseOutput
from safetensors.torch import save_file
from transformers import CLIPModel

from .capture import AttentionCapture, to_8bit
from .inputs import check_generators, check_numbers, check_prompts, pair_inputs, to_tensors
from .load import load_parts
from .postfuse import ObjectImageEncoder
from .stages import condition, denoise, finish, prepare

PROMPT = "remove the instance of object"


@dataclass
class ObjectClearOutput(BaseOutput):
    """images: as `output_type` says. attention_maps: 8-bit arrays of latent size, or None without fusion."""

    images: list
    attention_maps: list | None = None


class ObjectClearPipeline(StableDiffusionXLInpaintPipeline):
    """Removes the object under a mask, with its shadow and reflection.

    `image_prompt_encoder` is a CLIPModel (turned into an ObjectImageEncoder in place), `postfuse_module` a
    PostfuseModule, `unet` an SDXL UNet with 9 input channels; the rest is SDXL's.
    """

    model_cpu_offload_seq = "text_encoder->text_encoder_2->image_prompt_encoder->postfuse_module->unet->vae"
    # optional for saving only: diffusers would write the postfuse module in a layout of its own
    _optional_components: ClassVar = [
        *StableDiffusionXLInpaintPipeline._optional_components,
        "postfuse_module",
    ]

    def __init__(
        self,
        vae,
        text_encoder,
        text_encoder_2,
        tokenizer,
        tokenizer_2,
        unet,
        scheduler,
        image_prompt_encoder,
        postfuse_module,
        image_encoder=None,
        feature_extractor=None,
        force_zeros_for_empty_prompt: bool = True,
        requires_aesthetics_score: bool = False,
        apply_attention_guided_fusion: bool = True,
    ):
        super().__init__(
            vae=vae,
            text_encoder=text_encoder,
            text_encoder_2=text_encoder_2,
            tokenizer=tokenizer,
            tokenizer_2=tokenizer_2,
            unet=unet,
            scheduler=scheduler,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
            force_zeros_for_empty_prompt=force_zeros_for_empty_prompt,
            requires_aesthetics_score=requires_aesthetics_score,
            add_watermarker=False,
        )
        if type(image_prompt_encoder) is CLIPModel:
            image_prompt_encoder.__class__ = ObjectImageEncoder
        self.register_modules(image_prompt_encoder=image_prompt_encoder, postfuse_module=postfuse_module)
        self.register_to_config(apply_attention_guided_fusion=apply_attention_guided_fusion)
        self._name_custom_components()
        self.capture = AttentionCapture()
        # now, so that a graph compiled before the first call has the hooks as well; a call that fuses
        # complains
        with suppress(RuntimeError):
            self.capture.install(unet)

    @classmethod
    def from_pretrained(cls, source, **kwargs):
        """Load as `load_parts` says: diffusers' own loading does not know the two custom components."""
        return cls(**load_parts(source, **kwargs))

    def save_pretrained(self, save_directory, **kwargs):
        """Write the published layout: a CLIPModel and the postfuse module's bare state dict beside SDXL's."""
        self._name_custom_components()
        super().save_pretrained(save_directory, **kwargs)
        folder = Path(save_directory, "postfuse_module")
        folder.mkdir(parents=True, exist_ok=True)
        module = getattr(self.postfuse_module, "_orig_mod", self.postfuse_module)
        save_file(
            {key: value.contiguous() for key, value in module.state_dict().items()},
            folder / "model.safetensors",
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt=PROMPT,
        image=None,
        mask_image=None,
        num_inference_steps=20,
        guidance_scale=2.5,
        height=None,
        width=None,
        strength=1.0,
        generator=None,
        num_images_per_prompt=1,
        output_type="pil",
        attention_guided_fusion=None,
        callback_on_step_end=None,
        callback_on_step_end_tensor_inputs=("latents",),
        return_dict=True,
        negative_prompt=None,
        eta=0.0,
    ):
        """Return an `ObjectClearOutput`, or the tuple (images,) without `return_dict`.

        image, mask_image: a PIL image or 8-bit array each, or lists of one length and one size; sides in
        pixels, multiples of 8. prompt: one for all, or one per image. generator: one, or a list of one per
        output image. attention_guided_fusion: None is what the model's index says (on). output_type: "pil",
        "np" (B, H, W, 3) and "pt" (B, 3, H, W) in [0, 1], or "latent": the final latents. eta: DDIM's. Raises
        ValueError for arguments that do not fit, RuntimeError when fusion is on and something removed the
        attention capture.
        """
        check_numbers(num_inference_steps, strength, num_images_per_prompt, output_type)
        pictures, masks = pair_inputs(image, mask_image, height, width, self.vae_scale_factor)
        prompts = check_prompts(prompt, len(pictures), (self.tokenizer, self.tokenizer_2))
        check_generators(generator, len(pictures) * num_images_per_prompt)
        names = self._callback_names(callback_on_step_end, callback_on_step_end_tensor_inputs)
        fusing = attention_guided_fusion
        fusing = self.config.apply_attention_guided_fusion if fusing is None else fusing
        if fusing:
            self.capture.install(self.unet)
        self._start_call(guidance_scale)

        device, dtype, (image, mask) = self._execution_device, self.unet.dtype, to_tensors(pictures, masks)
        timesteps = self._timesteps(num_inference_steps, strength, device)
        placed = (num_images_per_prompt, device, dtype)
        text = condition(self, prompts, negative_prompt, image, mask, *placed)
        tensors, *background = prepare(self, image, mask, timesteps, strength, generator, *placed)
        tensors |= text
        arguments = self.prepare_extra_step_kwargs(generator, eta)
        try:
            denoise(
                self,
                tensors,
                timesteps,
                background if fusing else None,
                arguments,
                callback_on_step_end,
                names,
            )
            maps = self._attention_maps(tensors["latents"]) if fusing else None
        finally:
            self.capture.clear()
        images = finish(self, tensors["latents"], pictures, maps, output_type)
        self.maybe_free_model_hooks()
        return ObjectClearOutput(images=images, attention_maps=maps) if return_dict else (images,)

    def _start_call(self, guidance_scale):
        # what diffusers' properties (and its step callbacks) read
        self._guidance_scale, self._guidance_rescale = guidance_scale, 0.0
        self._interrupt, self._cross_attention_kwargs, self._clip_skip = False, None, None
        self._denoising_start = self._denoising_end = None

    def _timesteps(self, steps, strength, device):
        _, steps = retrieve_timesteps(self.scheduler, steps, device)
        timesteps, _ = self.get_timesteps(steps, strength, device)
        self._num_timesteps = len(timesteps)
        return timesteps

    def _attention_maps(self, latents):
        height, width = latents.shape[-2:]
        return to_8bit(self.capture.attention_map(self.unet, len(latents), height, width), height, width)

    def _callback_names(self, callback, names):
        if isinstance(callback, (PipelineCallback, MultiPipelineCallbacks)):
            names = callback.tensor_inputs
        unknown = [name for name in names if name not in self._callback_tensor_inputs]
        if unknown:
            raise ValueError(f"A step callback cannot have {unknown}; there are {self._callback_tensor_inputs}.")
        return names

    def _name_custom_components(self):
        # what the index says about them, whatever stands in for them now (a compiled module, a quantised one)
        self.register_to_config(image_prompt_encoder=("transformers", "CLIPModel"), postfuse_module=(None, None))
