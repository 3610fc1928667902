"""`bisect` whole: real locks, environments and commits, with rounds that a function makes up in place of a run."""

import datetime
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from comparing import put
from helpers import file, refusal, study, tiny
from wheels import lock as lock_of
from wheels import wheel

from mic2e_bench import paths
from mic2e_bench.errors import BadInput
from mic2e_bench.tools.bisect import answers, bisect, contest, environments, groups, lock, measured, outcome
from mic2e_bench.tools.bisect.bisect import Request
from mic2e_bench.tools.bisect.measured import DidNotRun

needs_uv = pytest.mark.skipif(not shutil.which("uv"), reason="no uv on the path")
NAMES = ("alpha", "beta", "gamma")
WOBBLE = (1.0, 1.004, 0.997, 1.002, 0.995, 1.001, 1.003)


def versions(side):
    """What is installed in a side's environment."""
    site = side.python.parent.parent / "lib" / f"python{lock.HERE}" / "site-packages"
    return {name: version for name, (version, _) in groups.installed(site).items()}


class Made:
    """A round that is made up: seconds of a call by what the side is, ``noise`` by the number of the call."""

    def __init__(self, content, seconds, seen=versions, noise=WOBBLE, kill_at=None, kill=signal.SIGKILL):
        self.study, self.seconds, self.seen, self.noise = study(content), seconds, seen, noise
        self.calls, self.kill_at, self.kill = itertools.count(), kill_at, kill

    def __call__(self, side, folder, is_first):
        number = next(self.calls)
        if number == self.kill_at:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # an earlier test may have left another
            os.kill(os.getpid(), self.kill)
        seen = self.seconds(self.seen(side))
        at = datetime.datetime.now(datetime.UTC).isoformat()
        if isinstance(seen, float):
            put(
                folder,
                self.study,
                {t.label: seen * self.noise[number % len(self.noise)] for t in self.study.trials},
                at=at,
            )
        else:
            status, seconds = seen
            put(folder, self.study, {t.label: seconds for t in self.study.trials}, status=status, at=at)
        (folder / measured.DONE).write_text('{"seconds": 1.0}')
        return 1.0


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two locks of three tiny wheels, and the params file of a study."""
    for side, version in (("good", "1.0"), ("bad", "2.0")):
        lock_of(tmp_path / f"{side}.lock", *(wheel(tmp_path / "wheels", name, version) for name in NAMES))
    monkeypatch.setattr(bisect, "harness", lambda: "")  # of a checkout that is being worked on
    monkeypatch.setattr(environments, "freeze", lambda folder: folder)  # nothing is run
    file(tmp_path / "study.yaml", tiny())
    return tmp_path


def ask(place, seconds, most=20, **made):
    request = Request(place / "study.yaml", results=place / "results", work=place / "work", most=most,
                      measure=Made(tiny(), seconds, **made))  # fmt: skip
    return bisect.of_locks(request, place / "good.lock", place / "bad.lock")


def slow(*names):
    """A tenth of a second, a quarter more where all of these are updated."""
    return lambda seen: 0.1 * (1.25 if all(seen[name] == "2.0" for name in names) else 1.0)


@needs_uv
@pytest.mark.parametrize("name", ["alpha", "gamma"])
def test_one_of_three_packages(place, name, capsys):
    made = ask(place, slow(name))
    assert (made.word, made.exit) == (outcome.CULPRIT, 1) and made.mixes <= 3
    (culprit,) = made.culprits
    assert culprit.what == (f"{name} 1.0 → 2.0",) and culprit.answer.change == pytest.approx(25, abs=1)
    low, high = culprit.answer.ci95
    assert 24 < low < 25 < high < 26
    text = outcome.text(made)
    assert text.startswith(f"{name} 1.0 → 2.0: latency +2") and "GOOD to BAD: latency +2" in text
    assert not (place / "work").exists()
    said = capsys.readouterr().err
    assert "3 of 3 packages changed" in said and "left where six rounds tell" in said
    again = ask(place, lambda seen: pytest.fail("nothing is measured twice"))
    assert outcome.as_json(again) == outcome.as_json(made) and not (place / "work").exists()


@needs_uv
def test_only_together(place):
    made = ask(place, slow("alpha", "gamma"))
    assert (made.word, made.exit) == (outcome.TOGETHER, 1)
    assert outcome.said(made).startswith("only together: alpha 1.0 → 2.0 and gamma 1.0 → 2.0: latency +2")


@needs_uv
def test_two_by_themselves(place):
    made = ask(
        place, lambda seen: 0.1 * (1.15 if seen["alpha"] == "2.0" else 1) * (1.2 if seen["gamma"] == "2.0" else 1)
    )
    assert (made.word, made.exit) == (outcome.SEVERAL, 1)
    assert [one.what for one in made.culprits] == [("alpha 1.0 → 2.0",), ("gamma 1.0 → 2.0",)]
    assert outcome.said(made).startswith("2 by themselves: alpha 1.0 → 2.0: latency +1")


@needs_uv
def test_no_difference_a_gain_and_what_is_within_the_noise(place):
    made = ask(place, lambda seen: 0.1)
    assert (made.word, made.exit, made.mixes) == (outcome.NONE, 0, 0)
    assert outcome.said(made).startswith("no difference: ") and "after 6 rounds" in outcome.said(made)
    assert json.loads(outcome.as_json(made))["answer"] == "none"
    shutil.rmtree(place / "results")
    made = ask(place, lambda seen: 0.1, most=8, noise=(1.0, 1.3, 0.8, 1.1, 0.7))
    assert (made.word, made.exit) == (outcome.NOISE, 3)
    assert "within the noise: latency" in outcome.said(made) and "would tell" in outcome.said(made)
    shutil.rmtree(place / "results")
    made = ask(place, lambda seen: 0.1 * (0.8 if seen["beta"] == "2.0" else 1.0))
    assert made.culprits[0].what == ("beta 1.0 → 2.0",) and made.culprits[0].answer.change < -19


@needs_uv
def test_what_no_longer_runs_is_found_after_one_round(place):
    made = ask(place, lambda seen: ("oom", 0.1) if seen["beta"] == "2.0" else 0.1)
    assert made.word == outcome.CULPRIT and made.rounds <= 4
    assert outcome.said(made) == "beta 1.0 → 2.0: baseline no longer runs (oom: no memory left)"


@needs_uv
def test_a_mix_that_does_not_start_is_passed_over(place):
    def seconds(seen):
        if seen["alpha"] != seen["beta"]:
            raise DidNotRun("ImportError: alpha")
        return 0.1 * (1.25 if seen["alpha"] == "2.0" else 1.0)

    made = ask(place, seconds)
    assert (made.word, made.exit) == (outcome.NARROWED, 3)
    assert outcome.said(made).startswith("not narrowed down further: alpha 1.0 → 2.0, beta 1.0 → 2.0: latency +25")
    assert "not testable: ImportError: alpha" in outcome.text(made)


@needs_uv
def test_a_study_that_fails_on_a_side_is_one_line_and_leaves_nothing(place):
    before = sorted(place.iterdir())
    for fails, said in (("1.0", "GOOD"), ("2.0", "BAD")):

        def seconds(seen, fails=fails):
            if seen["alpha"] == fails:
                raise DidNotRun("ImportError: no torch")
            return 0.1

        with pytest.raises(BadInput, match=f"the study does not start on {said}: ImportError: no torch"):
            ask(place, seconds)
    with pytest.raises(BadInput, match="baseline does not run on GOOD: oom: no memory left"):
        ask(place, lambda seen: ("oom", 0.1))
    assert sorted(place.iterdir()) == before


@needs_uv
def test_killed_in_the_middle_it_goes_on_and_ends_the_same(place, capfd):
    kill = multiprocessing.get_context("fork").Process(target=ask, args=(place, slow("beta")), kwargs={"kill_at": 15})
    kill.start()
    kill.join()
    assert kill.exitcode == -signal.SIGKILL
    (left,) = (place / "work").iterdir()
    assert {"good", "other"} <= {path.name for path in left.iterdir()}
    done = {path: path.stat().st_mtime_ns for path in (place / "results").rglob("done.json")}
    assert len(done) == 15
    made = ask(place, slow("beta"))
    assert made.culprits[0].what == ("beta 1.0 → 2.0",) and not (place / "work").exists()
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert [step.rounds for step in made.steps] == [6] * len(made.steps) == [6, 6, 6, 6]


@needs_uv
@pytest.mark.parametrize("at", [0, 15])
def test_ctrl_c_leaves_no_environment_and_keeps_the_rounds(place, at, capfd):
    cut = {"kill_at": at, "kill": signal.SIGINT}
    stopped = multiprocessing.get_context("fork").Process(target=ask, args=(place, slow("beta")), kwargs=cut)
    stopped.start()
    stopped.join()
    assert stopped.exitcode == 1 and not (place / "work").exists()
    assert len(list((place / "results").rglob("done.json"))) == at and (at > 0) == (place / "results").exists()
    assert ask(place, slow("beta")).culprits[0].what == ("beta 1.0 → 2.0",)


# ---- commits


@pytest.fixture
def repo(tmp_path):
    """A checkout of seven commits; the fifth after the first is slower."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for number in range(8):
        (folder / "speed.py").write_text(f"SECONDS = {0.1 if number < 5 else 0.13}\nNUMBER = {number}\n")
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
            f'[project]\nname = "speed"\nversion = "{number}"\n[tool.setuptools]\npy-modules = ["speed"]\n'
        )
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", f"number {number}")
    return folder


def git(folder, *words):
    named = ("-c", "user.name=t", "-c", "user.email=t@t", "-C", str(folder))
    return subprocess.run(["git", *named, *words], check=True, capture_output=True, text=True).stdout.strip()


def of_side(side):
    """What the first folder on a side's path says."""
    here = {}
    exec((side.path[0] / "speed.py").read_text(), here)
    return here["SECONDS"]


@pytest.fixture
def request_of(tmp_path, monkeypatch):
    monkeypatch.setattr(bisect, "harness", lambda: "")
    file(tmp_path / "study.yaml", tiny())
    made = Made(tiny(), lambda seconds: seconds, of_side)
    return Request(tmp_path / "study.yaml", results=tmp_path / "results", work=tmp_path / "work", measure=made)


def test_which_commit_of_this_repository(repo, request_of, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", repo / "mic2e_bench")
    before = git(repo, "status", "--porcelain"), git(repo, "worktree", "list"), git(repo, "rev-parse", "HEAD")
    made = bisect.of_commits(request_of, "HEAD~7", "HEAD")
    assert made.word == outcome.CULPRIT and made.mixes == 3
    assert made.culprits[0].what == (f"{git(repo, 'rev-parse', '--short', 'HEAD~2')} number 5",)
    assert (git(repo, "status", "--porcelain"), git(repo, "worktree", "list"), git(repo, "rev-parse", "HEAD")) == before
    assert not request_of.work.exists()


@needs_uv
def test_which_commit_of_another_checkout_that_is_built(repo, request_of, monkeypatch):
    pytest.importorskip("setuptools")
    monkeypatch.setenv("UV_OFFLINE", "1")
    made = bisect.of_commits(request_of, "HEAD~4", "HEAD~2", repo)
    assert made.culprits[0].what[0].endswith("number 5") and made.mixes == 1
    assert git(repo, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("nowhere", "HEAD", "has no commit 'nowhere'"),
        ("--help", "HEAD", "has no commit '--help'"),
        ("HEAD", "main", "the same commit"),
        ("HEAD", "HEAD~1", "is no ancestor of BAD"),
    ],
)
def test_commits_that_cannot_be_compared_are_one_line(repo, tmp_path, capsys, good, bad, said):
    path = file(tmp_path / "study.yaml", tiny())
    words = ["--repo", repo, "--results", tmp_path / "results", f"--commit={good}", bad]
    if good.startswith("-"):
        with pytest.raises(BadInput, match=said):
            bisect.of_commits(Request(path, results=tmp_path / "results"), good, bad, repo)
        return
    words = ["bisect", path, "--repo", repo, "--results", tmp_path / "results", "--commit", good, bad]
    assert said in refusal(capsys, *words) and not (tmp_path / "results").exists()


# ---- a round


def test_a_rounds_process_finds_nothing_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("VIRTUAL_ENV", "/ours")
    found = measured.surroundings(measured.Side(tmp_path / "bin/python", (tmp_path / "tree",)))
    assert found["PYTHONPATH"] == str(tmp_path / "tree") and "PYTHONDONTWRITEBYTECODE" not in found
    assert found["PATH"].startswith(f"{tmp_path / 'bin'}:") and not any("/ours" in value for value in found.values())
    assert "PYTHONPATH" not in measured.surroundings(measured.Side(tmp_path / "bin/python"))


def test_a_round_that_does_not_start_says_its_last_words(tmp_path):
    package = tmp_path / "tree" / "mic2e_bench"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import sys\nsys.exit(f'no {sys.argv[1]} here')\n")
    asked = measured.Asked(study(tiny()), tmp_path / "study.yaml", ())
    with pytest.raises(DidNotRun, match=r"^no run here$"):
        asked.measure(measured.Side(Path(sys.executable), (tmp_path / "tree",)), tmp_path / "00", True)
    assert measured.seconds(tmp_path / "00") is None


def test_looks_and_json_of_a_step():
    assert not answers.is_ratio("weights") and answers.is_ratio("latency")
    step = contest.Step("all", "BAD", contest.Answer("same", 1.0, (0.0, 2.0)), 6)
    assert step.as_json()["ci95"] == (0.0, 2.0)
