"""FlashAttention 2 and 3 in UNets, whose attention does not go through diffusers' dispatcher. Imports torch."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch.nn import functional


def kernel(value: str) -> Any:
    """The function of the installed package: (batch, positions, heads, width) to the same."""
    package = {"flash_attn_2": "flash_attn", "flash_attn_3": "flash_attn_interface"}[value]
    return importlib.import_module(package).flash_attn_func


class FlashProcessor:
    """An attention processor like diffusers' ``AttnProcessor2_0`` that calls a FlashAttention package.

    The package takes no masks, no float32 and no heads wider than 256; such calls go to PyTorch, and both are counted.
    """

    def __init__(self, value: str) -> None:
        self.value, self.kernel = value, kernel(value)
        self.ran = self.fell_back = 0

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        if attn.group_norm is not None or attn.spatial_norm is not None or attn.norm_q is not None or attn.norm_cross:
            raise ValueError("FlashProcessor is for the transformer blocks of a UNet, which have no norms of their own")
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        states = (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        query, key, value = (state.unflatten(-1, (attn.heads, -1)) for state in states)
        if attention_mask is not None:
            batch, length = context.shape[:2]
            attention_mask = attn.prepare_attention_mask(attention_mask, length, batch)
            attention_mask = attention_mask.view(batch, attn.heads, -1, attention_mask.shape[-1])
        out = self._attend(query, key, value, attention_mask).flatten(2).to(query.dtype)
        out = attn.to_out[1](attn.to_out[0](out))
        if attn.residual_connection:
            out = out + hidden_states
        return out / attn.rescale_output_factor

    def _attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any) -> torch.Tensor:
        if mask is None and query.dtype in (torch.float16, torch.bfloat16) and query.shape[-1] <= 256:
            self.ran += 1
            out = self.kernel(query, key, value)
            return out[0] if isinstance(out, tuple) else out  # some releases of 3 return the log-sum-exp as well
        self.fell_back += 1
        query, key, value = (states.transpose(1, 2) for states in (query, key, value))
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)
