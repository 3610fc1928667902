"""Which positions look at the word "object": one layer's attention, read without touching how it is computed.

Fusion needs one token of one cross-attention layer in the last step. Swapping that layer's processor (as the
authors do for several layers) collides with everything that sets processors: xformers, slicing, fused
projections. Instead, forward hooks keep references to the layer's queries and keys, and the map is computed
from them after the last step.
"""

import contextlib
import sys

import torch
from torch.nn import functional

from .inputs import OBJECT_INDEX


class AttentionCapture:
    """Keeps the queries and keys of the latest pass through one UNet's first cross-attention layer.

    A hook only assigns attributes and never reads them, so that torch.compile traces it as an extra output of
    the graph and has nothing to recompile for. Each output comes with the module that made it, as a proof of
    origin.
    """

    def __init__(self):
        self.query = None
        self.key = None
        self._handles = {}

    def install(self, unet):
        """Hook the live modules of `unet`; a no-op where they are hooked already.

        Called at every pipeline call, because quantisation, fusing and LoRA replace modules. Raises
        RuntimeError when there is no cross-attention layer in the first two down blocks.
        """
        _, attn = first_cross_attention(unet)
        wanted = [module for name in ("to_q", "to_k", "to_kv") if (module := getattr(attn, name, None)) is not None]
        for module in set(self._handles) - set(wanted):
            self._handles.pop(module).remove()
        for module in wanted:
            if not self._is_hooked(module):
                keep = self._keep_query if module is attn.to_q else self._keep_key
                self._handles[module] = module.register_forward_hook(keep)

    def clear(self):
        """Drop the references, so that no map comes from an earlier evaluation and the memory is free."""
        self.query = self.key = None

    def attention_map(self, unet, count, height, width):
        """The latest evaluation's attention to one token, (count, 1, height, width) float32 in [0, 1].

        count: the number of pictures; they are the last rows of the batch (guidance puts the unconditional
        half first). height, width: of the latents. Raises RuntimeError where nothing, or another layer, was
        captured.
        """
        depth, attn = first_cross_attention(unet)
        if not self._is_complete(attn):
            raise RuntimeError(self._why_nothing(unet, attn))
        query, key = self.query[1], self.key[1]
        if self.key[0] is getattr(attn, "to_kv", None):
            key = key.chunk(2, dim=-1)[0]
        for _ in range(depth):
            height, width = (height + 1) // 2, (width + 1) // 2
        if query.ndim != 3 or query.shape[1] != height * width or query.shape[0] not in (count, 2 * count):
            raise RuntimeError(
                f"The captured queries have the shape {tuple(query.shape)}, not ({count} or {2 * count}, "
                f"{height * width}, width): something in the UNet changed the batch or merged positions, and "
                "the attention map would be wrong. Undo it or set attention_guided_fusion=False."
            )
        return token_attention(query[-count:], key[-count:], attn.heads).reshape(count, 1, height, width)

    def _keep_query(self, module, args, output):
        self.query = (module, output)

    def _keep_key(self, module, args, output):
        self.key = (module, output)

    def _is_hooked(self, module):
        handle = self._handles.get(module)
        return handle is not None and handle.id in module._forward_hooks

    def _is_complete(self, attn):
        if self.query is None or self.key is None:
            return False
        return self.query[0] is attn.to_q and self.key[0] in (attn.to_k, getattr(attn, "to_kv", None))

    def _why_nothing(self, unet, attn):
        removed = [name for name in ("to_q", "to_k") if not self._is_hooked(getattr(attn, name))]
        if removed:
            cause = f"its modules were replaced or their hooks removed during the call ({', '.join(removed)})"
        elif is_compiled(unet):
            cause = (
                "the UNet is compiled, and its graph was traced before the hooks were in place or outside of "
                "a pipeline call; compile after all other changes and let the first pipeline call trace it"
            )
        else:
            processor = type(attn.processor).__name__
            cause = f"its attention processor {processor} does not call to_q and to_k (or to_kv)"
        return (
            f"Attention-guided fusion found no attention of the UNet's first cross-attention layer: {cause}. "
            "Undo that or set attention_guided_fusion=False."
        )


def first_cross_attention(unet):
    """Return (halvings before it, attn): the first `attn2` the UNet runs in its first two down blocks."""
    for depth, block in enumerate(list(getattr(unet, "down_blocks", []))[:2]):
        for transformer in getattr(block, "attentions", []):
            for layer in getattr(transformer, "transformer_blocks", []):
                if getattr(layer, "attn2", None) is not None:
                    return depth, layer.attn2
    raise RuntimeError(
        f"Attention-guided fusion needs a cross-attention layer in the UNet's first two down blocks; "
        f"{type(unet).__name__} shows none. Set attention_guided_fusion=False."
    )


def token_attention(query, key, heads, token=OBJECT_INDEX):
    """Attention of every position to one token, mean over heads: (B, positions) float32.

    query: (B, positions, heads * width), key: (B, tokens, heads * width), any float type. The softmax runs
    over all tokens, in float32 even where the UNet runs in half precision.
    """
    query, key = (states.float().unflatten(-1, (heads, -1)).transpose(1, 2) for states in (query, key))
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    return scores.softmax(dim=-1)[..., token].mean(dim=1)


def to_8bit(maps, height, width):
    """Enlarge maps (B, 1, h, w) to the latent size, stretch each to [0, 1]; 8-bit arrays, truncated."""
    maps = functional.interpolate(maps, (height, width), mode="bilinear", align_corners=False)
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    return list(((maps - low) / (high - low + 1e-8) * 255).to(torch.uint8)[:, 0].cpu().numpy())


def is_compiled(module):
    """True if `module`, or any module inside it, goes through torch.compile."""
    return hasattr(module, "_orig_mod") or any(m._compiled_call_impl is not None for m in module.modules())


def guarded_hooks():
    """A context in which torch.compile checks that a graph was traced with the hooks a module has.

    By default it does not look at modules without hooks, so when only the repeated blocks are compiled, the
    graph of another block would be taken for the hooked one. Nothing is imported where nothing is compiled.
    """
    if "torch._dynamo" not in sys.modules:
        return contextlib.nullcontext()
    return sys.modules["torch._dynamo"].config.patch(skip_nnmodule_hook_guards=False)
