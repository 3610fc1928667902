"""The race of a search: volumes, doubts, what is dropped, what is foretold, what a build is worth, what cannot fit."""

import landscapes
import numpy as np
import optuna
import pytest
from helpers import inputs
from scipy import stats
from tuning import SPACE, Measurer

from mic2e_bench.catalog import registry
from mic2e_bench.tools.fit import accuracy
from mic2e_bench.tools.fit.estimate import estimate
from mic2e_bench.tools.tune import hypervolume, measuring, space_file
from mic2e_bench.tools.tune.looking import Looking
from mic2e_bench.tools.tune.proposals import Proposals
from mic2e_bench.tools.tune.race import Look, Race
from mic2e_bench.workshop.proof import landscape as bench


@pytest.fixture
def content(tmp_path):
    return {**SPACE, "inputs": inputs(tmp_path / "inputs")}


@pytest.fixture
def measurer(monkeypatch):
    made = Measurer()
    monkeypatch.setattr(measuring.runner, "run", made.run)
    monkeypatch.setattr(measuring.score, "studies", lambda *args: [])
    return made


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_hypervolume_is_that_of_counted_points(k):
    rng = np.random.default_rng(k)
    costs, reference, ideal = rng.random((30, k)), np.full(k, 0.9), np.zeros(k)
    darts = rng.random((200_000, k)) * 0.9
    hit = (costs[:, None] <= darts).all(axis=2).any(axis=0).mean()
    assert hypervolume.share(costs, reference, ideal) == pytest.approx(hit, abs=0.005)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_what_a_point_gains_is_what_the_hypervolume_grows_by_with_it(k):
    rng = np.random.default_rng(k)
    costs, others, reference, ideal = rng.random((20, k)), rng.random((10, k)) - 0.1, np.full(k, 0.9), np.full(k, 0.05)
    before = hypervolume.share(costs, reference, ideal)
    grown = [hypervolume.share([*costs, one], reference, ideal) - before for one in others]
    assert hypervolume.gains(costs, others, reference, ideal) == pytest.approx(grown, abs=1e-12)


@pytest.mark.parametrize("name", ["interacting", "crossing"])
def test_a_raced_search_names_more_of_the_front_than_chance_in_the_same_seconds(name):
    landscape = landscapes.landscape(name)
    raced, random = (bench.play(landscape, rival, 0.2, 0) for rival in (bench.RIVALS[0], RANDOM))
    assert raced.share >= 0.9 and raced.share > random.share


RANDOM = next(rival for rival in bench.RIVALS if rival.name == "random search")


# the race


def race_of(content, measured, rungs=1, worst=(np.inf, np.inf, 0.0)):
    """A race with looks: settings, rung, latency, memory, quality (%)."""
    _, space = space_file.resolve(content)
    made = Race(space, ("latency", "memory", "quality"), rungs, np.array(worst))
    for settings, rung, latency, memory, quality in measured:
        look = Look((latency, memory, -quality), (0.01 * latency, 0.0, 0.0))
        made.add(space.nearest(settings), rung, look)
    return made


def test_a_value_is_dropped_where_a_sibling_beats_it_in_every_pair(content):
    looks = [({"steps": s, "resolution": r, "attention": a}, 0, s * f, 1e4 * r, 10.0 * s)
             for s in (1, 2, 4, 8) for r in (64, 128) for a, f in (("native", 1.0), ("sliced:1", 2.0))]  # fmt: skip
    made = race_of(content, looks)
    at = [axis.name for axis in made.space.axes].index("attention")
    native, sliced = (made.space.axes[at].choices.index(value) for value in ("native", "sliced"))
    assert made.dropped() == {("attention", sliced): ("attention", native, 8)}
    assert race_of(content, looks[:-2]).dropped() == {}  # seven pairs: where it wins may not have been tried
    looks[1] = (looks[1][0], 0, looks[1][2], 1e4 * 64 / 2, looks[1][4])  # it wins memory in one pair
    assert race_of(content, looks).dropped() == {}


def test_a_cheap_look_is_in_doubt_by_what_fuller_looks_say_of_it(content):
    steps = [1, 2, 4, 8]
    cheap = [({"steps": s}, 0, s * f, 1e9, 10.0 * s) for s, f in zip(steps, (1.3, 1.1, 1.2, 1.2), strict=True)]
    full = [({"steps": s}, 1, 1.0 * s, 1e9, 10.0 * s) for s in steps]
    made = race_of(content, [*cheap, *full], rungs=2)
    shift, doubt = made.shift_and_doubt(0)
    assert shift[0] == pytest.approx(-np.log([1.3, 1.1, 1.2, 1.2]).mean())
    assert doubt[0] == pytest.approx(stats.t.ppf(0.95, 3) * np.log([1.3, 1.1, 1.2, 1.2]).std(ddof=1))
    assert not race_of(content, cheap, rungs=2).shift_and_doubt(0)[0].any()  # nothing fuller: nothing is known


def test_what_is_of_no_use_is_not_in_the_race(content):
    made = race_of(content, [({"steps": 1}, 0, 1.0, 1e9, -20.0), ({"steps": 2}, 0, 2.0, 1e9, 50.0)])
    assert [made.space.settings(point)["steps"] for point in made.alive()] == [2]


def looked_at(landscape, some):
    """A race in which some points were looked at, without noise."""
    made = Race(landscape.space, landscape.names, 1, np.array(landscape.limits))
    for point in some:
        made.add(point, 0, Look(landscape.space.values[point], (0.0, 0.0, 0.0)))
    return made


def some_of(landscape, count):
    points = list(landscape.space.values)
    return points, [points[index] for index in np.random.default_rng(0).choice(len(points), count, replace=False)]


def test_a_forecast_says_which_points_gain_most_among_those_that_nobody_looked_at():
    landscape = landscapes.landscape("crossing")
    points, some = some_of(landscape, 80)
    others = [point for point in points if point not in some]
    gains = looked_at(landscape, some).gains(others)
    best = [others[at] for at in np.argsort(-gains)[: len(others) // 8]]
    before, after = (bench.volume(landscape, [landscape.space.values[point] for point in named])
                     for named in (some, [*some, *best]))  # fmt: skip
    assert (gains >= 0).all() and after > max(0.97, before)


def test_nothing_is_foretold_from_few_looks():
    landscape = landscapes.landscape("crossing")
    points, some = some_of(landscape, 20)
    assert looked_at(landscape, some).gains([point for point in points if point not in some]) is None


def test_where_a_cheap_look_differs_from_a_full_one_is_learned(content):
    """One call is twice as slow as the mean where guidance stops early, and the same elsewhere: no shift for all."""
    _, space = space_file.resolve(content)
    made = Race(space, ("latency", "memory", "quality"), 2, np.array((np.inf, np.inf, 0.0)))
    for at, point in enumerate(space.points):
        settings = space.settings(point)
        costs = np.array([0.1 * settings["steps"], settings["resolution"] * 1e6, -10.0 * settings["steps"]])
        early = settings.get("guidance_stop") == 0.5
        made.add(point, 0, Look(tuple(costs * [2.0 if early else 1.0, 1, 1]), (0.0,) * 3))
        if at % 4 == 0:
            made.add(point, 1, Look(tuple(costs), (0.0,) * 3))
    cheap = [point for point, looks in made.looks.items() if 1 not in looks]
    off = [made.expected(point)[0] / (0.1 * space.settings(point)["steps"]) for point in cheap]
    assert np.abs(np.log(off)).max() < 0.1 < np.abs(made.shift_and_doubt(0)[0][0])


class Dear:
    """A bench on which one build costs as told, and any point of another one a second."""

    worst, rungs, names = np.full(3, np.inf), 1, ("latency", "memory", "quality")

    def __init__(self, space, build_s):
        self.space, self.build_s = space, build_s

    def build(self, point):
        return str(self.space.settings(point)["attention"])

    def why_not(self, point):
        return ""

    def expected(self, points, rung):
        return len(points) + (self.build_s if self.build(points[0]) != "native" else 0)


@pytest.mark.parametrize(("build_s", "seen"), [(0, "sliced:1"), (400, "native")])
def test_a_build_is_visited_when_its_gain_is_worth_its_seconds(content, build_s, seen):
    _, space = space_file.resolve(content)
    proposals = Proposals(Dear(space, build_s), optuna.create_study(directions=["minimize"] * 3), [])
    gains = {"native": 0.001, "sliced:1": 0.1, "sliced:2": 0.0}

    def foretold(points):
        return np.array([gains[space.settings(point)["attention"]] for point in points])

    def seen_of(gains, least=0.0, within_s=np.inf):
        batch = proposals.visit(100, 24, [], {}, gains, least, within_s)
        return {space.settings(point)["attention"] for _, point in batch}

    assert seen_of(foretold) == {seen}
    assert not seen_of(foretold, least=1.0)  # nothing gains that much for each second
    assert seen_of(foretold, within_s=min(build_s, 100) + 4.0) == {seen}  # what takes longer is not begun
    assert not seen_of(foretold, within_s=0.5) and not seen_of(lambda points: None, within_s=0.5)


# what cannot fit


def test_what_fit_says_does_not_fit_is_not_measured_nor_what_is_larger(content, tmp_path, measurer):
    study, space = space_file.resolve(content)
    bench = Looking((study,), space, tmp_path, {}, None)
    small, large = (space.nearest({**space.baseline, "resolution": side}) for side in (64, 128))
    needs = [fit_of(bench, point) for point in (small, large)]
    assert needs[0] < needs[1]
    bench.room.capacity = sum(needs) / 2
    calls = len(measurer.measured)
    looks = bench.look([small, large], 0)
    assert looks[small].costs and not looks[large].costs and "too large: fit estimates" in looks[large].failed
    assert len(measurer.measured) == calls + 1
    again = Looking((study,), space, tmp_path, {}, None)  # as after a restart
    again.remember(space.nearest({**space.baseline, "resolution": 96}), Look(None, failed="oom: no memory"))
    assert again.why_not(large) and not again.why_not(small)


def fit_of(bench, point):
    """Bytes that a card needs for a point, as `fit` estimates them."""
    trial = bench.ladder[0].trial(point)
    made = estimate(registry.pipeline(trial.pipeline), trial.model, trial.settings, accuracy.largest(trial.inputs))
    return made.on_card


def test_on_a_processor_nothing_is_estimated(content, tmp_path, measurer):
    study, space = space_file.resolve(content)
    bench = Looking((study,), space, tmp_path, {}, None)
    assert bench.room.capacity is None and not bench.room.why_not(bench.ladder[0].trial(space.points[0]))
