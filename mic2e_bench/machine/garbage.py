"""What is imported once stays: garbage is not looked for in it again and again.

A collection goes through every object of the process, and the libraries are 500,000 of them: 0.3 s of a processor each
time, and in a fork a copy of every page that it touches.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def of_imports() -> Iterator[None]:
    """Nothing is collected in the block; what lives at its end is passed over by all later collections.

    Children that are forked later inherit that. ``gc.unfreeze`` takes it back.
    """
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        gc.enable()
