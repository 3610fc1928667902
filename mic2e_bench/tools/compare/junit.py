"""A comparison as JUnit XML, which every CI system shows: a suite a study, a case a verdict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

from mic2e_bench import texts
from mic2e_bench.tools.compare import power
from mic2e_bench.tools.compare import text as compare_text
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import MISSING, STATUS, Verdict


def xml(made: Comparison) -> bytes:
    """UTF-8 with its declaration, as Jenkins' schema wants it (``junit-10.xsd`` of its xUnit plugin).

    A checked loss is a failure; a trial that did not run at the head, or is missing on one side, an error; a checked
    inconclusive verdict is skipped. Cases have the seconds that their trial took at the head, all rounds together; a
    suite counts each trial once.
    """
    root = ElementTree.Element("testsuites", name="mic2e-bench compare")
    by_study: dict[str, list[Verdict]] = {}
    for verdict in made.verdicts:
        by_study.setdefault(verdict.study, []).append(verdict)
    total = _counts(made.verdicts)
    total.pop("skipped")  # this element has no such attribute
    root.attrib.update(total)
    facts = {"base": made.base, "head": made.head, "machine": made.machine, "stand-ins": made.stand_ins}
    facts |= {"remarks": "; ".join(made.remarks), "power": "; ".join(power.worst(made.power))}
    facts |= {"time": "seconds of a trial at the head, all its rounds together; its cases share them"}
    for number, (study, verdicts) in enumerate(by_study.items()):
        started = min((one.started for one in verdicts if one.started), default="")
        where = {"id": str(number), "name": _text(study), "hostname": _text(made.host), "timestamp": _time(started)}
        named = {name: value for name, value in where.items() if value}
        suite = ElementTree.SubElement(root, "testsuite", named | _counts(verdicts))
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in facts.items():
            ElementTree.SubElement(properties, "property", name=name, value=_text(value))
        for verdict in verdicts:
            _case(suite, verdict)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _case(suite: ElementTree.Element, verdict: Verdict) -> None:
    name = f"{verdict.label}: {verdict.metric}"
    case = ElementTree.SubElement(
        suite, "testcase", classname=_text(verdict.study), name=_text(name), time=_seconds(verdict.seconds)
    )
    said = f"{verdict.word}: {compare_text.change(verdict)} (base {verdict.base}, head {verdict.head}, threshold "
    said += f"{verdict.threshold:g} {verdict.unit})" + (f"; {verdict.note}" if verdict.note else "")
    kind = _kind(verdict)
    if kind == "skipped":
        ElementTree.SubElement(case, kind, message=_text(said))
    elif kind:
        ElementTree.SubElement(case, kind, message=_text(said), type=verdict.word)
    else:
        ElementTree.SubElement(case, "system-out").text = _text(said)


def _kind(verdict: Verdict) -> str:
    """The element that says what became of it; none where it is well."""
    if verdict.fails:
        return "error" if verdict.metric == STATUS else "failure"
    return "skipped" if verdict.is_open or verdict.word == MISSING else ""


def _counts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    kinds = Counter(map(_kind, verdicts))
    seconds = {(verdict.study, verdict.label): verdict.seconds for verdict in verdicts}
    return {
        "tests": str(len(verdicts)), "failures": str(kinds["failure"]), "errors": str(kinds["error"]),
        "skipped": str(kinds["skipped"]), "time": _seconds(sum(seconds.values())),
    }  # fmt: skip


def _seconds(value: float) -> str:
    """As the schema has it: at most three decimals and no exponent."""
    return f"{value:.3f}"


def _time(started: str) -> str:
    """A time of the record as ISO 8601 to the second, without its zone, which is UTC; nothing where it is none."""
    return started[:19] if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", started, re.ASCII) else ""


def _text(value: str) -> str:
    """A text without what no XML may hold, not even escaped."""
    return texts.plain(value)
