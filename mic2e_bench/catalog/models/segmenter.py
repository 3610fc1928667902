"""SAM3 as one object: the model that answers a kind of prompt, and its processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

THRESHOLD = 0.3  # transformers' default score above which an instance counts


class Segmenter:
    """Image and prompt to one mask. ``text`` goes to Sam3Model; ``points`` and ``box`` to Sam3TrackerModel."""

    def __init__(self, model: torch.nn.Module, processor: Any, prompt_kind: str) -> None:
        self.model, self.processor, self.prompt_kind = model.eval(), processor, prompt_kind

    @classmethod
    def load(cls, source: str, prompt_kind: str, **arguments: Any) -> Segmenter:
        """From a folder or hub id in the published layout, which both models read.

        Raises ``ValueError`` where it lacks weights of the one that answers this kind of prompt: the library would
        only warn, and make random ones.
        """
        import transformers

        kind = transformers.Sam3Model if prompt_kind == "text" else transformers.Sam3TrackerModel
        model, found = kind.from_pretrained(source, use_safetensors=True, output_loading_info=True, **arguments)
        if missing := sorted(found["missing_keys"]):
            raise ValueError(f"it has no weights for {prompt_kind}: {len(missing)} are missing, such as {missing[0]}")
        return cls(model, processor_for(source, prompt_kind, arguments.get("revision")), prompt_kind)

    def to(self, device: str) -> Segmenter:
        """Move the model."""
        self.model.to(device)
        return self

    def __call__(self, image: Image.Image, text: str | None, points: Any, box: Any) -> Image.Image:
        """The mask, 0 or 255, at the image's size; every instance of a phrase, or the one object of points or box."""
        return self.batch(image, text, points, box, 1)[0]

    @torch.no_grad()  # grad_mode may put inference_mode around it
    def batch(self, image: Image.Image, text: str | None, points: Any, box: Any, batch: int) -> list[Image.Image]:
        """The same for ``batch`` copies of image and prompt, which the model sees at once; a mask for each."""
        prompt = {name: value * batch for name, value in self._prompt(text, points, box).items()}
        given = self.processor(images=[image] * batch, return_tensors="pt", **prompt)
        sizes = given["original_sizes"].tolist()
        tensors = {name: self._ready(tensor) for name, tensor in given.items() if name != "original_sizes"}
        if self.prompt_kind == "text":
            found = self.processor.post_process_instance_segmentation(
                self.model(**tensors), threshold=THRESHOLD, target_sizes=sizes
            )
            masks = [_union(each["masks"], size) for each, size in zip(found, sizes, strict=True)]
        else:
            output = self.model(**tensors, multimask_output=False)
            found = self.processor.post_process_masks(output.pred_masks.float().cpu(), sizes)
            masks = [each[0, 0].bool() for each in found]
        return [Image.fromarray(mask.cpu().numpy().astype(np.uint8) * 255) for mask in masks]

    def _prompt(self, text: str | None, points: Any, box: Any) -> dict[str, Any]:
        if self.prompt_kind == "text":
            return {"text": [text]}
        if self.prompt_kind == "box":
            return {"input_boxes": [[list(map(float, box))]]}
        return {
            "input_points": [[[[float(x), float(y)] for x, y, _ in points]]],
            "input_labels": [[[int(label) for _, _, label in points]]],
        }

    def _ready(self, tensor: Any) -> Any:
        parameter = next(self.model.parameters())
        if not isinstance(tensor, torch.Tensor):
            return tensor
        return tensor.to(parameter.device, parameter.dtype if tensor.is_floating_point() else None)


def _union(instances: torch.Tensor, size: list[int]) -> torch.Tensor:
    return instances.bool().any(dim=0) if len(instances) else torch.zeros(size, dtype=torch.bool)


def processor_for(source: str, prompt_kind: str, revision: str | None = None, size: int | None = None) -> Any:
    """The processor of a kind of prompt; ``size`` (pixels) overrides the stored one, for a model of another size."""
    import transformers

    kind = transformers.Sam3Processor if prompt_kind == "text" else transformers.Sam3TrackerProcessor
    processor = kind.from_pretrained(source, **({"revision": revision} if revision else {}))
    if prompt_kind == "text" and len(processor.tokenizer) <= len(processor.tokenizer.all_special_tokens):
        raise ValueError("it has no vocabulary (tokenizer.json): the library makes an empty one, which reads no word")
    if size:
        processor.image_processor.size = {"height": size, "width": size}
        processor.target_size = size
    return processor
