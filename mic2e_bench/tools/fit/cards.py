"""GPUs by name, with the memory that their driver shows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from mic2e_bench.errors import BadInput
from mic2e_bench.units import GIB, MIB

# GiB. Cards with GDDR6 and error correction lose a sixteenth of what they are sold with (T4, L4, A10G)
CARDS: Mapping[str, float] = {
    "RTX 3080": 10,
    "T4": 15,
    "A10G": 22.5,
    "L4": 22.5,
    "RTX 3090": 24,
    "RTX 4090": 24,
    "A100 40GB": 40,
    "A100 80GB": 80,
    "H100": 79.6,
    "H200": 140.4,
}

# bytes of cuBLAS's workspace as PyTorch sets it: ':4096:8' on Hopper and later, ':4096:2:16:8' (in KiB) on older cards
WORKSPACE, OLDER_WORKSPACE = 32 * MIB, (4096 * 2 + 16 * 8) * 1024
OLDER = ("rtx", "gtx", "a10", "a30", "a40", "l4", "t4", "v100")  # how their names begin


def workspace(name: str) -> int:
    """Bytes of cuBLAS's workspace on a card or device of this name; of an unknown one the larger."""
    return OLDER_WORKSPACE if _plain(name).startswith(OLDER) else WORKSPACE


def memory(name: str, where: str = "--gpu") -> tuple[str, float]:
    """The card of that name and its bytes. Raises ``BadInput`` naming the nearest, and the way to do without a name."""
    wanted = _plain(name)
    found = [card for card in CARDS if _plain(card) == wanted] or [c for c in CARDS if _plain(c).startswith(wanted)]
    if len(found) == 1:
        return found[0], CARDS[found[0]] * GIB
    advice = "Or give the memory itself: --vram 10GiB."
    if found and wanted:
        raise BadInput(f"{where}: '{name}' is one of {', '.join(found)}. {advice}")
    near = max(CARDS, key=lambda card: difflib.SequenceMatcher(None, _plain(card), wanted).ratio())
    raise BadInput(f"{where}: unknown card '{name}'. Nearest: '{near}'. Known: {', '.join(CARDS)}. {advice}")


def _plain(name: str) -> str:
    return re.sub(r"nvidia|geforce|tesla|[^a-z0-9]", "", name.lower())
