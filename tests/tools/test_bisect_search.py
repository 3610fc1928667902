"""The search of `bisect` alone: with an oracle in place of measurements."""

import itertools
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mic2e_bench.tools.bisect import answers, search
from mic2e_bench.tools.bisect.search import DIFFERS, SAME, UNKNOWN, Answer
from mic2e_bench.tools.compare import verdict
from mic2e_bench.tools.compare.verdict import Verdict


class Oracle:
    """Answers for culprits (sets, each with its change in percent); what was asked is counted once."""

    def __init__(self, *culprits, unknown=(), noise=0.5):
        self.culprits, self.unknown, self.noise, self.asked = culprits, unknown, noise, {}

    def change(self, subset):
        return sum(change for members, change in self.culprits if set(members) <= subset)

    def __call__(self, subset):
        change = self.change(subset)
        word = UNKNOWN if subset in self.unknown else DIFFERS if change > 5 else SAME
        self.asked[subset] = Answer(word, change, (change - self.noise, change + self.noise))
        return self.asked[subset]

    def find(self, count):
        whole = self(frozenset(range(count)))
        self.asked.clear()
        return search.all_of(count, whole, self)


@pytest.mark.parametrize("culprit", range(3))
def test_one_of_three_takes_at_most_three_steps(culprit):
    ask = Oracle(([culprit], 20))
    (found,) = ask.find(3)
    assert found.members == (culprit,) and found.is_sure and found.answer.change == 20
    assert len(ask.asked) <= 3


@pytest.mark.parametrize("count", range(1, 17))
def test_one_of_n_takes_a_step_for_each_halving_and_one_to_confirm(count):
    for culprit in range(count):
        ask = Oracle(([culprit], 20))
        (found,) = ask.find(count)
        assert found.members == (culprit,) and len(ask.asked) <= search.most_steps(count)


@pytest.mark.parametrize("seed", range(200))
def test_what_is_slow_only_together_is_found_whole_and_nothing_beside_it(seed):
    draw = random.Random(seed)
    count = draw.randint(2, 12)
    members = draw.sample(range(count), draw.randint(2, min(4, count)))
    ask = Oracle((members, 20))
    (found,) = ask.find(count)
    assert found.members == tuple(sorted(members)) and found.is_sure
    assert ask(frozenset(members)).word == DIFFERS
    for part in itertools.combinations(members, len(members) - 1):
        seen = [subset for subset, answer in ask.asked.items() if set(part) <= subset and answer.word == SAME]
        assert seen  # it does not differ, and was a part of what was measured
    assert len(ask.asked) <= len(members) * search.most_steps(count)


@pytest.mark.parametrize("seed", range(100))
def test_two_by_themselves_are_both_found_where_one_leaves_much_unexplained(seed):
    draw = random.Random(seed)
    count = draw.randint(2, 12)
    one, other = draw.sample(range(count), 2)
    found = Oracle(([one], 10), ([other], 12)).find(count)
    assert sorted(culprit.members for culprit in found) == sorted([(one,), (other,)])


def test_what_is_left_unexplained_by_many_small_ones_is_not_made_up():
    ask = Oracle(([0], 10), ([1], 3), ([2], 1))
    (found,) = ask.find(3)
    assert found.members == (0,)  # the others together stay below what matters
    assert search.leaves([found], Answer(DIFFERS, 14, (13.5, 14.5)))


def test_small_ones_that_matter_only_in_sum_are_named_together():
    (found,) = Oracle(([0], 4), ([2], 4)).find(3)
    assert found.members == (0, 2)


@pytest.mark.parametrize("seed", range(100))
def test_answers_that_cannot_be_told_never_lead_to_a_wrong_name(seed):
    draw = random.Random(seed)
    count = draw.randint(2, 10)
    culprit = draw.randrange(count)
    every = frozenset(range(count))
    unknown = [frozenset(range(size)) for size in range(1, count) if draw.random() < 0.5]
    unknown += [frozenset([culprit])] * draw.randint(0, 1)
    (found,) = Oracle(([culprit], 20), unknown=[one for one in unknown if one != every]).find(count)
    assert culprit in found.members
    assert not found.is_sure or found.members == (culprit,)


def test_nothing_can_be_told_at_all():
    parts = [frozenset(part) for size in range(1, 4) for part in itertools.combinations(range(4), size)]
    (found,) = Oracle(([2], 20), unknown=parts).find(4)
    assert found.members == (0, 1, 2, 3) and not found.is_sure


@pytest.mark.parametrize("seed", range(200))
def test_one_that_hides_another_ends_with_what_was_measured_to_differ(seed):
    """A gain beside a loss: a larger part may differ less."""
    draw = random.Random(seed)
    count = draw.randint(2, 10)
    ask = Oracle(*(([one], draw.choice([-15, 0, 0, 20])) for one in range(count)))
    if ask(frozenset(range(count))).word == DIFFERS:
        for found in ask.find(count):
            assert found.is_sure and ask.change(set(found.members)) > 5


def test_commits_are_halved():
    asked = []

    def ask(number):
        asked.append(number)
        return Answer(DIFFERS if number >= 700 else SAME)

    assert search.first(0, 1000, ask) == (699, 700) and len(asked) <= 10


def test_a_change_without_a_figure_is_explained_whole():
    """A trial that no longer runs."""
    found = search.Culprit((0,), Answer(DIFFERS))
    assert not search.leaves([found], Answer(DIFFERS))


@pytest.mark.parametrize(
    ("change", "ci95", "word"),
    [
        (0.7, (-3.4, 5.2), SAME),  # across the threshold of 5 %, and surely less than a third of 30 %
        (0.7, (-9.0, 5.2), SAME),  # faster, if anything
        (5.0, (0.0, 9.8), SAME),
        (4.0, (-1.0, 11.0), UNKNOWN),
        (12.0, (4.0, 20.0), UNKNOWN),
    ],
)
def test_what_is_surely_a_small_part_of_a_change_is_not_what_made_it(change, ci95, word):
    whole = Verdict("s", "t", "latency", verdict.WORSE, 30.0, (10.0, 50.0), threshold=5.0, unit="%", gated=True)
    part = replace(whole, word=verdict.INCONCLUSIVE, change=change, ci95=ci95)
    assert answers.answered(SimpleNamespace(verdicts=[part]), whole).word == word
