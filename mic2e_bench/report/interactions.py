"""What an ablation says: each setting alone and among the others, and which help, cancel or break each other."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mic2e_bench.plan.ablate import without
from mic2e_bench.plan.settings import show
from mic2e_bench.report import captions, footnotes, markup
from mic2e_bench.report.ablation import BREAK, CANCEL, HELP, Ablation, Effect, Ratio, SettingPair
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.metric_names import shown, title
from mic2e_bench.report.tabular import Table
from mic2e_bench.units import NONE, digits, missing

READING = (
    "Alone: the baseline's seconds over those with this setting added.",
    "Among the others: the seconds of the best without it over those of the best.",
    "In brackets the 95 % interval, where they took turns over enough builds.",
    "Speed-ups are expected to multiply; a difference is claimed only where its interval leaves out 1.",
)
WORDS = {HELP: "more than alone", CANCEL: "less than alone", BREAK: "breaks", "neither": "as alone", "": NONE}


def ablation(found: Findings) -> Ablation:
    """The records of a study with ``ablate``; its best is the trial that differs most from the baseline."""
    baseline = found.study.baseline.content["settings"]
    settings = [{key: trial.content["settings"][key] for key in found.study.varied} for trial in found.study.trials]
    changes = [{key: value for key, value in one.items() if baseline[key] != value} for one in settings]
    return Ablation(baseline, max(changes, key=len), found.records.values())


def html(found: Findings) -> Markup:
    """What was found in sentences, the settings and, where they were measured, the pairs."""
    made = ablation(found)
    tables = [effects(found, made), *pairs(found, made)]
    return markup.render("ablation.html", sentences=sentences(made), tables=tables)


def sentences(made: Ablation) -> list[str]:
    """The settings and pairs that help, cancel or break, by name; or that nothing is beyond the noise."""
    said = [line for effect in made.effects() if (line := _of_effect(effect))]
    said += [line for pair in made.pairs() if (line := _of_pair(pair))]
    unknown = [effect.why for effect in made.effects() if effect.alone and not effect.interaction and effect.why]
    if unknown and not said:
        return [f"Whether settings help or cancel each other was not measured well enough to say: {unknown[0]}."]
    return said or ["No setting is seen to help, cancel or break another beyond the noise of these calls."]


def _of_effect(effect: Effect) -> str:
    name = f"{effect.name} {show(effect.value)}"
    if effect.interaction == BREAK:
        return f"{name} breaks with the others: {effect.why}."
    if effect.interaction in (HELP, CANCEL):
        gains = f"{_text(effect.alone)} alone, {_text(effect.inside)} among the others"
        return f"{name} {'helps' if effect.interaction == HELP else 'is partly cancelled by'} the others: {gains}."
    return ""


def _of_pair(pair: SettingPair) -> str:
    names = " and ".join(pair.names)
    if pair.interaction == BREAK:
        return f"{names} break each other: {pair.why}."
    if pair.interaction in (HELP, CANCEL):
        gains = f"{_text(pair.together)} together, where their own would give {digits(pair.expected)}×"
        return f"{names} {pair.interaction} each other: {gains}."
    return ""


def _text(ratio: Ratio | None) -> str:
    if ratio is None:
        return NONE
    ends = f" ({digits(ratio.ci95[0])} to {digits(ratio.ci95[1])})" if ratio.ci95 else ""
    return f"{digits(ratio.value)}×{ends}{', inside the noise' if ends and not ratio.is_clear else ''}"


def effects(found: Findings, made: Ablation) -> Table:
    """A row a setting, with its own effect on memory and quality."""
    rows = []
    names = found.main_metrics[:1]
    for effect in made.effects():
        added = made.record({effect.name: effect.value})
        row = found.trials[found.trials["id"] == added.id].iloc[0] if added else {}
        memory = row.get("memory_ratio")
        of = [{}, {effect.name: effect.value}, made.best, without(made.best, effect.name)]
        mark = footnotes.mark(found, *(one.id for one in map(made.record, of) if one))
        rows.append([
            f"{effect.name} {show(effect.value)}{mark}", _text(effect.alone), _text(effect.inside),
            WORDS[effect.interaction], effect.why or NONE,
            NONE if missing(memory) else f"{digits(memory)}×", *(shown(name, row.get(name)) for name in names),
        ])  # fmt: skip
    header = ["setting", "speed-up alone", "among the others", "compared", "why", "memory alone"]
    header += [f"{title(name)} alone" for name in names]
    return _table(found, header, rows)


def _table(found: Findings, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    lines = [*captions.stand_ins(found), *READING]
    return Table(header, rows, captions.short(found), left=(0, 3, 4), reading=lines)


def pairs(found: Findings, made: Ablation) -> list[Table]:
    """A row a pair, where pairs were measured."""
    words = {HELP: "help", CANCEL: "cancel", BREAK: "break", "neither": "as their product", "": NONE}
    rows = []
    for pair in made.pairs():
        expected = NONE if pair.expected is None else f"{digits(pair.expected)}×"
        gains = _text(pair.together), expected
        of = [{}, *({name: made.best[name]} for name in pair.names), {name: made.best[name] for name in pair.names}]
        mark = footnotes.mark(found, *(one.id for one in map(made.record, of) if one))
        rows.append([" + ".join(pair.names) + mark, *gains, words[pair.interaction], pair.why or NONE])
    header = ["pair", "speed-up together", "product of their own", "compared", "why"]
    return [_table(found, header, rows)] if rows else []
