"""A comparison as JUnit XML, which every CI system shows: a suite a study, a case a verdict."""

from __future__ import annotations

from xml.etree import ElementTree

from mic2e_bench import texts
from mic2e_bench.tools.compare import power
from mic2e_bench.tools.compare import text as compare_text
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import INCONCLUSIVE, Verdict


def xml(made: Comparison) -> bytes:
    """UTF-8 with its declaration. A checked loss is a failure, a checked inconclusive verdict is skipped."""
    root = ElementTree.Element("testsuites", name="mic2e-bench compare", **_counts(list(made.verdicts)))
    for study in dict.fromkeys(verdict.study for verdict in made.verdicts):
        verdicts = [verdict for verdict in made.verdicts if verdict.study == study]
        suite = ElementTree.SubElement(root, "testsuite", name=_text(study), **_counts(verdicts))
        properties = ElementTree.SubElement(suite, "properties")
        facts = {"base": made.base, "head": made.head, "machine": made.machine, "stand-ins": made.stand_ins}
        facts |= {"remarks": "; ".join(made.remarks), "power": "; ".join(power.worst(made.power))}
        for name, value in facts.items():
            ElementTree.SubElement(properties, "property", name=name, value=_text(value))
        for verdict in verdicts:
            _case(suite, verdict)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _case(suite: ElementTree.Element, verdict: Verdict) -> None:
    name = f"{verdict.label}: {verdict.metric}"
    case = ElementTree.SubElement(suite, "testcase", classname=_text(verdict.study), name=_text(name), time="0")
    said = f"{verdict.word}: {compare_text.change(verdict)} (base {verdict.base}, head {verdict.head}, threshold "
    said += f"{verdict.threshold:g} {verdict.unit})" + (f"; {verdict.note}" if verdict.note else "")
    if verdict.fails:
        ElementTree.SubElement(case, "failure", message=_text(said), type=verdict.word)
    elif verdict.gated and verdict.word == INCONCLUSIVE:
        ElementTree.SubElement(case, "skipped", message=_text(said))
    else:
        ElementTree.SubElement(case, "system-out").text = _text(said)


def _counts(verdicts: list[Verdict]) -> dict[str, str]:
    skipped = sum(verdict.gated and verdict.word == INCONCLUSIVE for verdict in verdicts)
    failures = sum(verdict.fails for verdict in verdicts)
    return {"tests": str(len(verdicts)), "failures": str(failures), "errors": "0", "skipped": str(skipped), "time": "0"}


def _text(value: str) -> str:
    """A text without what no XML may hold, not even escaped."""
    return texts.plain(value)
