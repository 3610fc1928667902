"""The words below a study's tables: what is particular to it, and what explains every table of the kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mic2e_bench.plan.settings import words
from mic2e_bench.records import comparable, ratios
from mic2e_bench.records.comparable import RSS
from mic2e_bench.report import footnotes
from mic2e_bench.report.findings import Findings

UNSTEADY = " !"
ABOVE = "above_loaded_bytes"
INTERVAL = (
    "With an interval [95 %]: the middle of the rounds' ratios over fresh builds; the interval is wider by what the "
    "baseline was from itself."
)


def short(found: Findings) -> str:
    """For the smaller tables: of which pipeline, with stand-ins or without, and what was disturbed."""
    return " ".join(filter(None, [_credit(found), footnotes.disturbed_words(found)]))


def _credit(found: Findings) -> str:
    """``found.credit`` in a few words: what the stand-ins are is said once, by the page or in ``reading``."""
    return f"{found.study.pipeline.name}, with stand-ins." if found.stand_ins else f"{found.credit}."


def stand_ins(found: Findings) -> list[str]:
    return [f"Stand-ins: {found.stand_ins}."] if found.stand_ins else []


def particular(found: Findings) -> str:
    """What a reader must know of these very numbers."""
    parts = [_credit(found), *_order(found)]
    if any(warnings(found, id) for id in found.trials["id"]):
        parts.append(f"{UNSTEADY.strip()}: the calls' times are spread wide or drift; the record says how.")
    parts += footnotes.caption(found)
    parts += _told(found)
    if shared := [one for one in found.records.values() if "shared_process" in one.memory]:
        why = shared[0].memory["shared_process"]
        parts.append(f"Peaks of {', '.join(one.label for one in shared)}: of the process that made all calls ({why}).")
    if (found.trials["status"] == "not_applied").any():
        parts.append("NOT APPLIED: a setting was asked for and not in force, so no speed-up is credited.")
    return " ".join(parts)


def reading(found: Findings) -> list[str]:
    """What the columns are, a line each, and what stands in for the real thing."""
    repeats = found.study.baseline.protocol["repeats"]
    calls = f"{repeats} calls" if isinstance(repeats, int) else "the calls"
    latency = f"median of {calls} ± half the distance between the quartiles" if repeats != 1 else "of a single call"
    batches = "batch" in found.study.varied
    speed = f"Speed-up: the baseline's {'seconds an image' if batches else 'latency'} over the trial's."
    if found.trials["speedup_ci95_low"].notna().any():
        speed += f" {INTERVAL}"
    lines = [*stand_ins(found), f"Latency: {latency}.", speed]
    if found.memory == RSS:
        lines.append("Peak RSS: the whole process during a call, the libraries included.")
    if found.trials[ABOVE].notna().any():
        lines.append("Above loaded: the peak less what the loaded pipeline held before the call.")
    if found.main_metrics:
        lines.append("Quality is scored against the baseline's image on the same input and seed.")
        lines += _float32(found)
    backbones = dict.fromkeys(text for text in found.trials["backbone"] if isinstance(text, str) and text)
    if backbones and not all(text in found.stand_ins for text in backbones):
        lines.append(f"Measured with: {'; '.join(backbones)}.")
    return [*lines, *footnotes.of_older_records(found)]


def warnings(found: Findings, id: str) -> Sequence[str]:
    """What is odd about the samples of a trial's latency, a line each."""
    return found.records[id].warnings if id in found.records else ()


def _order(found: Findings) -> list[str]:
    """How the calls behind the speed-ups were ordered, and which speed-ups conclude nothing."""
    others = found.trials.iloc[1:]
    known = others[others["speedup"].notna()]
    if not len(known):
        return []
    turns = known["interleaved"].astype(bool)
    order = "" if turns.all() else "not " if not turns.any() else "partly "
    parts = [f"The calls were {order}interleaved with the baseline's."]
    if bare := Counter(why for why in known["speedup_why"] if why):
        reasons = ", ".join(f"{why}: {count}" for why, count in bare.most_common())
        parts.append(f"A ratio without an interval ({reasons}) concludes nothing.")
        if ratios.OTHER_ROUNDS in bare:
            parts.append("Only what took turns in the same rounds is compared: --rerun measures the study together.")
    return [*parts, *filter(None, [footnotes.visits(found).strip()])]


def _told(found: Findings) -> list[str]:
    """Which trials' pictures cannot be told from the baseline's, where that can be said."""
    if not found.main_metrics:
        return []
    known = [
        (label, found.records.get(id)) for label, id in zip(found.trials["label"], found.trials["id"], strict=True)
    ]
    said = [(label, comparable.told(one)) for label, one in known[1:] if one and one.quality]
    few = bool(said) and all(word in ("too few", "same") for _, word in said)
    parts = ["Fewer than five pairs of input and seed: too few pictures to conclude from them."] if few else []
    if rounding := [label for label, word in said if word == "rounding"]:
        parts.append(f"Pictures that cannot be told from rounding: {', '.join(rounding)}.")
    return parts


def _float32(found: Findings) -> list[str]:
    """The trial that would be a reference without rounding, where the study has none."""
    wanted = comparable.in_float32(found.study.baseline.settings)
    if not wanted or any(one.settings == wanted for one in found.study.trials):
        return []
    lacking = {name: value for name, value in wanted.items() if found.study.baseline.settings[name] != value}
    return [f"There is no float32 reference: for one add the trial {words(lacking)}."]
