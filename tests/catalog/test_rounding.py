"""One unit in the last place, in every precision and up or down."""

import numpy as np
import pytest
import torch

from mic2e_bench.catalog.rounding import nudged


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_every_value_moves_to_its_neighbour(dtype):
    values = torch.randn(2, 3, 40, 50, generator=torch.Generator().manual_seed(1)).to(dtype)
    values[0, 0, 0, :4] = torch.tensor([0.0, -0.0, 1.0, -2.0])
    moved = nudged(values)
    assert moved.dtype == dtype and torch.equal(moved[values == 0], values[values == 0])
    normal = values.abs() > 4 * torch.finfo(dtype).tiny
    one, other = (each[normal].double() for each in (values, moved))
    eps = torch.finfo(dtype).eps
    assert ((one - other).abs() <= eps * one.abs()).all() and ((one - other).abs() >= eps / 4 * one.abs()).all()
    assert 0.4 < (other > one).double().mean() < 0.6
    assert torch.equal(nudged(values), moved)


def test_the_rows_of_a_batch_move_alike():
    """Guidance has the same latents twice."""
    row = torch.randn(4, 8, 8)
    moved = nudged(torch.stack([row, row]))
    assert torch.equal(moved[0], moved[1]) and not torch.equal(moved[0], row)


def test_float32_moves_as_numpy_has_it():
    values = torch.randn(1, 1000)
    moved, bits = nudged(values).numpy(), values.numpy()
    up, down = np.nextafter(bits, np.float32(np.inf)), np.nextafter(bits, np.float32(-np.inf))
    assert ((moved == up) | (moved == down)).all()
