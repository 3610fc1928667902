"""PyTorch's CUDA caching allocator on paper: how much it takes from the device for a sequence of requests.

The rules of its source (c10/cuda/CUDACachingAllocator.cpp) with the default settings: sizes rounded up to 512 bytes,
segments of 2 MiB for small blocks, of 20 MiB or whole 2 MiB for large ones, the best fitting free block, split where
enough remains, merged when freed, kept until the cache is emptied.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mic2e_bench.tools.fit.trace import EMPTY_CACHE
from mic2e_bench.units import MIB

SMALLEST = 512  # every request is rounded up to multiples
SMALL = MIB  # requests up to this come from small segments
SMALL_SEGMENT = 2 * MIB
LARGE_SEGMENT = 20 * MIB
LARGE_FROM = 10 * MIB  # requests from this on have segments of their own size,
LARGE_ROUNDED = 2 * MIB  # in multiples of this


@dataclass(eq=False)
class Block:
    """A part of a segment, in a chain with its neighbours."""

    size: int
    small: bool
    number: int
    before: Block | None = None
    after: Block | None = None
    free: bool = False


class Allocator:
    """Replays requests; ``reserved`` and ``allocated`` are bytes now, ``most_reserved`` the peak.

    ``capacity``: what the device can give. Beyond it cached segments are given back first, as PyTorch does before it
    reports that memory is out; ``failed`` tells that even that was not enough.
    """

    def __init__(self, capacity: float = float("inf")) -> None:
        self.capacity = capacity
        self.reserved = self.allocated = self.most_reserved = self.most_allocated = 0
        self.failed = False
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}  # (size, number), by pool
        self._blocks: dict[int, Block] = {}
        self._numbers = 0
        self._held: dict[Any, Block] = {}

    def replay(self, events: Iterable[tuple[Any, int]]) -> Allocator:
        """All events of a trace."""
        for name, size in events:
            if name == EMPTY_CACHE:
                self.empty_cache()
            elif size > 0:
                self._held[name] = self.take(size)
            elif size < 0:
                self.give_back(self._held.pop(name))
        return self

    def start_afresh(self) -> None:
        """The peaks are from now on."""
        self.most_reserved, self.most_allocated, self.failed = self.reserved, self.allocated, False

    def take(self, size: int) -> Block:
        """A block for a request of ``size`` bytes."""
        size = -(-size // SMALLEST) * SMALLEST
        small = size <= SMALL
        block = self._best_free(size, small) or self._segment(size, small)
        remaining = block.size - size
        if remaining >= SMALLEST if small else remaining > SMALL:
            rest = self._block(remaining, small, block, block.after)
            block.size, block.after = size, rest
            self._offer(rest)
        self.allocated += block.size
        self.most_allocated = max(self.most_allocated, self.allocated)
        return block

    def give_back(self, block: Block) -> None:
        """The block is free again, as one with free neighbours."""
        self.allocated -= block.size
        for other in (block.before, block.after):
            if other is not None and other.free:
                self._withdraw(other)
                block.size += other.size
                if other is block.before:
                    block.before = other.before
                    if other.before:
                        other.before.after = block
                else:
                    block.after = other.after
                    if other.after:
                        other.after.before = block
        self._offer(block)

    def empty_cache(self) -> None:
        """Segments that are free as a whole go back to the device."""
        for pool in self._free.values():
            for _, number in list(pool):
                block = self._blocks[number]
                if block.before is None and block.after is None:
                    self._withdraw(block)
                    self.reserved -= block.size

    def _segment(self, size: int, small: bool) -> Block:
        """A new segment from the device."""
        rounded = -(-size // LARGE_ROUNDED) * LARGE_ROUNDED
        asked = SMALL_SEGMENT if small else LARGE_SEGMENT if size < LARGE_FROM else rounded
        if self.reserved + asked > self.capacity:
            self.empty_cache()
        self.failed |= self.reserved + asked > self.capacity
        self.reserved += asked
        self.most_reserved = max(self.most_reserved, self.reserved)
        return self._block(asked, small)

    def _block(self, size: int, small: bool, before: Block | None = None, after: Block | None = None) -> Block:
        self._numbers += 1
        made = Block(size, small, self._numbers, before, after)
        if after is not None:
            after.before = made
        return made

    def _best_free(self, size: int, small: bool) -> Block | None:
        pool = self._free[small]
        place = bisect.bisect_left(pool, (size, 0))
        if place == len(pool):
            return None
        block = self._blocks[pool[place][1]]
        self._withdraw(block)
        return block

    def _offer(self, block: Block) -> None:
        block.free = True
        self._blocks[block.number] = block
        bisect.insort(self._free[block.small], (block.size, block.number))

    def _withdraw(self, block: Block) -> None:
        block.free = False
        del self._blocks[block.number]
        pool = self._free[block.small]
        del pool[bisect.bisect_left(pool, (block.size, block.number))]
