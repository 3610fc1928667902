"""bitsandbytes' 8-bit layer for inputs of any rank and weights that move. Imports bitsandbytes."""

from __future__ import annotations

import torch
from bitsandbytes import nn


class Linear8bit(nn.Linear8bitLt):
    """The library's layer multiplies by tensors that it keeps beside its parameter; an offload moves only that one.

    SAM3's vision encoder multiplies (batch, height, width, channels), where the CPU kernel looks for outliers in rows.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keeper = self.state if self.weight.CB is None else self.weight  # the weight until the first call
        keeper.CB, keeper.SCB = self.weight.data, keeper.SCB.to(self.weight.device)
        return super().forward(x.reshape(-1, x.shape[-1])).unflatten(0, x.shape[:-1])
