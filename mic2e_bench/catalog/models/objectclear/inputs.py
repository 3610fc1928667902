"""From what a caller has (PIL pictures, 8-bit arrays) to what the pipeline works on, and the complaints."""

import numpy as np
import torch
from PIL import Image

from mic2e_bench.pictures import as_mask, as_seen

MULTIPLE = 16
OBJECT_INDEX = 5


def resize_by_short_side(image, short_side, resample=Image.Resampling.BICUBIC):
    """Shrink a PIL `image` to a short side of `short_side` pixels, its sides rounded up to multiples of 16.

    One resize straight to the rounded size, so the aspect may change by a few pixels. A picture that is
    already smaller is not enlarged, only rounded up. `resample` is a PIL resampling or its name ("bicubic"):
    bicubic for pictures, nearest for masks. Raises ValueError for a short side below 1 or an unknown name.
    """
    if short_side < 1:
        raise ValueError(f"The short side must be at least 1 pixel, not {short_side}.")
    if isinstance(resample, str):
        names = [method.name.lower() for method in Image.Resampling]
        if resample.lower() not in names:
            raise ValueError(f"There is no resampling {resample!r}; there are {', '.join(names)}.")
        resample = Image.Resampling[resample.upper()]
    short = max(min(image.size), short_side)
    sides = [side * short_side // short for side in image.size]
    return image.resize([(side + MULTIPLE - 1) // MULTIPLE * MULTIPLE for side in sides], resample)


def pair_inputs(image, mask_image, height=None, width=None, multiple=8):
    """Return (pictures, masks): two lists of PIL images, RGB and L, all of one size.

    Each argument is a PIL image, an array of 8 bits (H, W[, 3]) or, for a mask, of booleans, or a list of
    them; a mask is white where the object is. They are read as files are: upright, in sRGB. `height` and
    `width` are only checked: nothing is resized here. Raises ValueError with what
    does not fit, TypeError for another kind of picture.
    """
    pictures = [_to_pil(item, "RGB", "image") for item in _as_list(image, "image")]
    masks = [_to_pil(item, "L", "mask_image") for item in _as_list(mask_image, "mask_image")]
    if len(pictures) != len(masks):
        raise ValueError(f"{len(pictures)} images came with {len(masks)} masks: each image needs its own mask.")
    size = pictures[0].size
    for picture, mask in zip(pictures, masks, strict=True):
        if picture.size != size:
            raise ValueError(f"The images of one call must have one size; found {size} and {picture.size}.")
        if mask.size != picture.size:
            raise ValueError(f"The mask is {mask.size} (width, height) but its image is {picture.size}.")
    asked = (width or size[0], height or size[1])
    if asked != size:
        raise ValueError(f"Asked for {asked} (width, height) but the image is {size}: resize it before the call.")
    if any(side % multiple or side < 2 * multiple for side in size):
        raise ValueError(
            f"Both sides must be multiples of {multiple} and at least {2 * multiple} pixels; the image is "
            f"{size}. resize_by_short_side gives such a size."
        )
    return pictures, masks


def to_tensors(pictures, masks):
    """Return pictures in [-1, 1], (B, 3, H, W), and masks of 0 and 1, (B, 1, H, W); float32 on the CPU."""
    image = np.stack([np.asarray(picture) for picture in pictures])
    mask = np.stack([np.asarray(mask) for mask in masks])
    image = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 127.5 - 1
    return image, (torch.from_numpy(mask).unsqueeze(1) / 255 > 0.5).float()


def check_numbers(num_inference_steps, strength, num_images_per_prompt, output_type):
    """Raise ValueError for a number out of its range or an unknown output type."""
    counts = {"num_inference_steps": num_inference_steps, "num_images_per_prompt": num_images_per_prompt}
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {count!r}.")
    if not 0 < strength <= 1:
        raise ValueError(f"strength must be above 0 and at most 1, not {strength}.")
    if int(num_inference_steps * strength) < 1:
        raise ValueError(f"{num_inference_steps} steps at strength {strength} leave no step to run.")
    if output_type not in ("pil", "np", "pt", "latent"):
        raise ValueError(f"There is no output type {output_type!r}; there are pil, np, pt and latent.")


def check_prompts(prompt, count, tokenizers):
    """Return `count` prompts; ValueError unless each has "object" where the embedding is replaced."""
    prompts = [prompt] * count if isinstance(prompt, str) else list(prompt)
    if len(prompts) != count:
        raise ValueError(f"{len(prompts)} prompts came with {count} images: pass one prompt, or one for each image.")
    for tokenizer in tokenizers:
        word = tokenizer("object").input_ids[1:-1]
        for text in prompts:
            if tokenizer(text).input_ids[OBJECT_INDEX : OBJECT_INDEX + len(word)] != word:
                raise ValueError(
                    f'The prompt must have the word "object" as token {OBJECT_INDEX}, as in '
                    f'"remove the instance of object"; {text!r} has not.'
                )
    return prompts


def check_generators(generator, count):
    """Raise ValueError for a list of generators that is not one per output image."""
    if isinstance(generator, list) and len(generator) != count:
        raise ValueError(f"{len(generator)} generators came for {count} output images: pass one, or one for each.")


def _as_list(value, name):
    if value is None:
        raise ValueError(f"{name} is missing: pass a PIL image or a list of them.")
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values:
        raise ValueError(f"{name} is an empty list.")
    return values


def _to_pil(item, mode, name):
    if isinstance(item, np.ndarray) and (item.dtype == np.uint8 or (mode == "L" and item.dtype == bool)):
        item = Image.fromarray(item)
    if not isinstance(item, Image.Image):
        kind = f"an array of {item.dtype}" if isinstance(item, np.ndarray) else type(item).__name__
        raise TypeError(f"{name} must be a PIL image or an array of uint8, not {kind}.")
    return as_mask(item) if mode == "L" else as_seen(item)
