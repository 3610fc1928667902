"""The text side of the small models: tokenizers over the scenes' words, and text encoders with random weights.

The editing models and SAM3 keep them frozen: a random transformer over distinct word embeddings gives every phrase its
own embedding, and the denoisers learn to read those. For the generation models, which read whole captions, that was
not enough: they train theirs (see `reading`). The tokenizers are built by a deterministic rule, because
a retrained one numbers its tokens differently and scrambles every embedding.
"""

from collections import Counter
from itertools import pairwise

import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)  # fmt: skip
from transformers.convert_slow_tokenizer import bytes_to_unicode

from mic2e_bench.workshop.scenes.words import WORDS

BYTES = [*bytes_to_unicode().values()]  # what stands for each byte in a byte-level vocabulary

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def merge(pieces: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """`pieces` with each neighbouring `pair` joined."""
    out, i = [], 0
    while i < len(pieces):
        step = 2 if pieces[i : i + 2] == pair else 1
        out.append("".join(pieces[i : i + step]))
        i += step
    return tuple(out)


def learn_merges(words: list[tuple[str, ...]]) -> list[tuple[str, str]]:
    """BPE merges until each word is one token; ties are broken by spelling, so the result never varies."""
    merges = []
    while any(len(w) > 1 for w in words):
        counts = Counter(pair for w in words for pair in pairwise(w))
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        words = [merge(w, best) for w in words]
    return merges


def clip_tokenizer():
    """CLIP's tokenizer; every word of the scenes is one token, others fall apart into letters."""
    merges = learn_merges([(*w[:-1], w[-1] + "</w>") for w in WORDS])
    tokens = ["<|startoftext|>", "<|endoftext|>", *BYTES, *(s + "</w>" for s in BYTES), *map("".join, merges)]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def t5_tokenizer():
    """T5's tokenizer (unigram): whole words score far above single letters."""
    letters = ["▁", *map(chr, range(33, 127))]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0)]
    vocab += [("▁" + w, -2.0) for w in WORDS] + [(c, -12.0) for c in letters]
    return T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=512)


def qwen_tokenizer():
    """Qwen2's tokenizer (byte-level BPE) with a chat template, as Z-Image calls it."""
    words = [tuple(w) for w in (*WORDS, "user", "assistant")] + [("Ġ", *w) for w in WORDS]
    merges = learn_merges(words)
    tokens = dict.fromkeys(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *BYTES, *map("".join, merges)])
    tokenizer = Qwen2Tokenizer(vocab={t: i for i, t in enumerate(tokens)}, merges=merges, model_max_length=512)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def randomise(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Fill an encoder so that signals keep their size (embeddings 1, matrices 1/sqrt(width)), and freeze it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "position_embedding" in name or "relative_attention_bias" in name:
                p.normal_(0, 0.3, generator=generator)
            elif "embed" in name or "shared" in name:
                p.normal_(0, 1, generator=generator)
            elif p.ndim > 1:
                p.normal_(0, p[0].numel() ** -0.5, generator=generator)
    return model.eval().requires_grad_(False)


def clip_config(vocab_size: int, width: int, positions: int) -> dict:
    """Of CLIP's text model with 2 layers."""
    return dict(
        vocab_size=vocab_size, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=width, max_position_embeddings=positions, bos_token_id=0,
        eos_token_id=1, pad_token_id=1,
    )  # fmt: skip


def clip_text(vocab_size: int, seed: int, *, projected: bool = False):
    """CLIPTextModel, or CLIPTextModelWithProjection, 64 wide."""
    config = CLIPTextConfig(**clip_config(vocab_size, width=64, positions=77))
    return randomise((CLIPTextModelWithProjection if projected else CLIPTextModel)(config), seed)


def t5_encoder(vocab_size: int, seed: int, width: int = 128):
    """T5EncoderModel with 2 layers."""
    config = T5Config(
        vocab_size=vocab_size, d_model=width, d_kv=32, d_ff=2 * width, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", dropout_rate=0.0, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    return randomise(T5EncoderModel(config), seed)


def qwen_encoder(vocab_size: int, seed: int, width: int = 128):
    """Qwen3Model with 3 layers (Z-Image reads the second-last hidden state)."""
    config = Qwen3Config(
        vocab_size=vocab_size, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=512, bos_token_id=0,
        eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return randomise(Qwen3Model(config), seed)
