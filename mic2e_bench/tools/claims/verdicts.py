"""The verdicts: their words, what each means, and what colour a page gives them."""

from __future__ import annotations

HOLDS, PARTLY, NOT, OPEN = "holds", "partly", "does not", "inconclusive"
NOT_RUN, GPU, WEIGHTS, NEVER = "not run yet", "needs a GPU", "needs the published weights", "not measurable"
NO_FIGURE = "no figure claimed"
UNANSWERED = (NOT_RUN, GPU, WEIGHTS, NEVER)  # nothing that was measured answers

MEANINGS = {
    HOLDS: "All of the figure's 95 % interval reaches what is claimed.",
    PARTLY: "Of a claim with several figures: some hold and some do not.",
    NOT: "None of the interval reaches what is claimed. The cell says what is claimed.",
    OPEN: "It was measured, and decides nothing: a part of the interval reaches the claim, or there is no interval, or "
    "fewer than five pictures, or a † (disturbed by other work or by the machine itself). The cell says which.",
    NOT_RUN: "There is no record of these settings, though what they need was there: a CPU is enough, or a "
    "GPU has measured this pipeline. The cell has the command that makes it.",
    GPU: "Only a GPU can answer, or only the one that the guide names, and no record is of such a one.",
    WEIGHTS: "Only the published weights can answer: the quality of their pictures, and how they load.",
    NEVER: "This workbench cannot measure it. The cell says why.",
    NO_FIGURE: "The guide has words and no figure or direction, so what was measured stands beside them.",
}
CLASSES = {HOLDS: "good", NOT: "bad", PARTLY: "open", OPEN: "open"}  # of a page's cells; the others are "none"


def css(verdict: str) -> str:
    """The class of a cell with this verdict."""
    return CLASSES.get(verdict, "none")
