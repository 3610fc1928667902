"""What a fork server imports before the libraries where ``pretended.py`` asks for it: they see a driver with a card.

Its children have the machine as it is.
"""

import functools
import json
import os
from pathlib import Path

import pretended
import pytest

starts = []
with pytest.MonkeyPatch.context() as patch:
    put = functools.partial(patch.setattr, raising=False)  # PyTorch for the CPU has not all of the names
    pretended.driver(put, [pretended.card()])
    pretended.recorder(put, starts)
    import mic2e_bench.run.preload  # noqa: F401
Path(os.environ["STARTS_IN_SERVER"]).write_text(json.dumps(starts))
