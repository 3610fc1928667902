"""How fast this device can multiply matrices and copy memory, measured in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from mic2e_bench.machine import probes

SIDE = {"cpu": 1024, "cuda": 8192}  # of the square matrices whose product is the ceiling of FLOP/s
COPIED = {"cpu": 1 << 28, "cuda": 1 << 30}  # bytes of the copy that is the ceiling of bytes/s
TRIES = 5


def ceilings(device: str, dtype: str) -> dict[str, Any]:
    """The fastest of five products of two square matrices and of five copies, on this device in this process."""
    kind, type_ = device.partition(":")[0], getattr(torch, dtype)
    if not type_.is_floating_point or type_.itemsize < 2:  # of an 8-bit type there is no plain product
        type_ = torch.bfloat16
    side, size = SIDE[kind], COPIED[kind]
    one, other = (torch.randn(side, side, device=device).to(type_) for _ in range(2))
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product_s, copy_s = _fastest(device, lambda: one @ other), _fastest(device, lambda: target.copy_(source))
    return {
        "dtype": str(type_).removeprefix("torch."),
        "matmul_flops_per_s": 2 * side**3 / product_s,
        "copy_bytes_per_s": 2 * size / copy_s,  # read and written
        "threads": torch.get_num_threads() if kind == "cpu" else None,
    }


def _fastest(device: str, act: Callable[[], Any]) -> float:
    act()
    seconds, begin = [], time.perf_counter()
    while len(seconds) < TRIES and (not seconds or time.perf_counter() - begin < 2):
        with probes.clock(device) as elapsed:
            act()
        seconds.append(elapsed.seconds)
    return min(seconds)
