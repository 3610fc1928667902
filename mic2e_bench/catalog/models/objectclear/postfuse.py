"""The object's embedding: from the masked picture through CLIP to a text token (arXiv 2505.22636)."""

import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from torch import nn
from torch.nn import functional
from transformers import CLIPModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD


class ObjectImageEncoder(CLIPModel):
    """A whole CLIPModel of which only the vision half runs.

    It has its own `forward` because offloading brings weights to the device when `forward` is called, which a
    call of the two submodules alone would miss. On disk it is an ordinary CLIPModel.
    """

    def forward(self, pixel_values):
        """(B, 3, size, size) -> (B, projection width): the pooled output after the visual projection."""
        return self.visual_projection(self.vision_model(pixel_values=pixel_values).pooler_output)

    def save_pretrained(self, save_directory, **kwargs):
        """Write the folder as a CLIPModel would, under that name too."""
        super().save_pretrained(save_directory, **kwargs)
        self.config.architectures = ["CLIPModel"]
        self.config.save_pretrained(save_directory)


class FeedForward(nn.Module):
    """LayerNorm -> Linear -> GELU (exact) -> Linear, with or without a residual."""

    def __init__(self, inner, outer, residual):
        super().__init__()
        self.layernorm = nn.LayerNorm(inner, eps=1e-5)
        self.fc1 = nn.Linear(inner, outer)
        self.fc2 = nn.Linear(outer, outer)
        self.residual = residual

    def forward(self, x):
        """(..., inner) -> (..., outer)."""
        out = self.fc2(functional.gelu(self.fc1(self.layernorm(x))))
        return x + out if self.residual else out


class PostfuseModule(ModelMixin, ConfigMixin):
    """Maps an object embedding to the embedding of the word "object".

    `text_width` is the two text encoders' hidden widths side by side (2048 in the published weights),
    `image_width` the projection width of the image encoder (768).
    """

    @register_to_config
    def __init__(self, text_width: int = 2048, image_width: int = 768):
        super().__init__()
        self.mlp1 = FeedForward(image_width, text_width, residual=False)
        self.mlp2 = FeedForward(text_width, text_width, residual=True)
        self.layer_norm = nn.LayerNorm(text_width, eps=1e-5)

    def forward(self, object_embedding):
        """(B, image_width) -> (B, text_width)."""
        return self.layer_norm(self.mlp2(self.mlp1(object_embedding)))

    @classmethod
    def from_state_dict(cls, state):
        """Build from the published bare state dict, reading the two widths from it.

        Raises KeyError or RuntimeError (from torch, naming the keys) for a state dict of something else.
        """
        with torch.device("meta"):
            module = cls(state["layer_norm.weight"].shape[0], state["mlp1.layernorm.weight"].shape[0])
        module.load_state_dict(state, assign=True)
        return module.eval()


def object_pixels(image, mask, size):
    """The object alone, as the vision model wants it: (B, 3, size, size).

    image: (B, 3, H, W) in [-1, 1]; mask: (B, 1, H, W) of 0 and 1. The [-1, 1] picture is normalised with
    CLIP's mean and deviation as it is, without a shift to [0, 1]: the published weights were trained so.
    """
    pixels = functional.interpolate(image * mask, (size, size), mode="bilinear", antialias=True, align_corners=False)
    mean, std = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    return (pixels - mean) / std
