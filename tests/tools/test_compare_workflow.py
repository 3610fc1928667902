"""The workflows of the check in CI: what they run, what they may do, and what they make of text from a fork."""

import os
import re
import subprocess

import helpers
import pytest
import yaml

from mic2e_bench.plan import params

WORKFLOW = helpers.ROOT / ".github" / "workflows" / "bench.yml"
COMMENT = WORKFLOW.with_name("bench-comment.yml")
SETUP = "The environment of each, with what its own lock holds"
has_workflow = pytest.mark.skipif(not WORKFLOW.is_file(), reason="the workflow is not packed")


def in_turns(folder, answers):
    """Run the workflow's own step with a stand-in for the command; ``answers`` are the exit codes of ``compare``."""
    job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["compare"]
    script = next(step["run"] for step in job["steps"] if "in turns" in step.get("name", ""))
    (folder / "answers").write_text("".join(f"{code}\n" for code in answers))
    for side in ("base", "head"):
        stand_in = folder / side / ".venv" / "bin" / "mic2e-bench"
        stand_in.parent.mkdir(parents=True)
        stand_in.write_text(
            f'#!/bin/bash\necho "{side} $*" >> {folder}/calls\n[ "$1" = compare ] || exit 0\n'
            f"code=$(head -n1 {folder}/answers); sed -i 1d {folder}/answers; exit $code\n"
        )
        stand_in.chmod(0o755)
    settings = {**os.environ, "RESULTS": str(folder / "out"), "LEAST": "2", "MOST": "4"}
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=settings, capture_output=True)
    return done.returncode, (folder / "calls").read_text().splitlines(), done.stdout.decode()


@has_workflow
@pytest.mark.parametrize(
    ("answers", "code", "rounds"), [([0], 0, 2), ([1], 1, 2), ([3, 0], 0, 3), ([3, 3, 3], 0, 4), ([2], 2, 2)]
)
def test_the_workflow_measures_in_turns_until_the_answer_is_clear(tmp_path, answers, code, rounds):
    got, calls, out = in_turns(tmp_path, answers)
    runs = [call.split()[0] for call in calls if " run " in call]
    assert (got, runs) == (code, ["base", "head", "head", "base", "base", "head", "head", "base"][: 2 * rounds])
    assert ("::warning::inconclusive" in out) == (answers == [3, 3, 3])
    assert all("--fail-on latency>5%" in call for call in calls if " compare " in call)


WORKFLOWS = sorted(WORKFLOW.parent.glob("*.yml"))


def scripts(workflow):
    """The shell snippets of a workflow's steps."""
    steps = [step for job in yaml.safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in steps if "run" in step]


@has_workflow
def test_the_workflow_that_runs_foreign_code_may_only_read_and_the_other_runs_none():
    measuring, commenting = (yaml.safe_load(path.read_text()) for path in (WORKFLOW, COMMENT))
    assert measuring["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in measuring["jobs"].values())
    assert commenting["permissions"] == {}
    (job,) = commenting["jobs"].values()
    assert job["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert not any("uses" in step for step in job["steps"])  # neither a checkout nor an action of anybody
    assert list(commenting[True]) == ["workflow_run"]  # YAML reads the key "on" so
    assert "pull_request_target" not in WORKFLOW.read_text()


@has_workflow
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_and_every_script_is_bash_that_takes_no_text_from_outside(workflow):
    text = workflow.read_text()
    assert "://" not in text
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in re.findall(r"uses: (\S+)", text))
    for script in scripts(workflow):
        assert "${{" not in script  # it would be put into the script as it is: what comes from outside comes by env
        subprocess.run(["bash", "-n"], input=script.encode(), check=True)


@has_workflow
def test_the_packages_are_cached_by_both_locks():
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["compare"]["steps"]
    names = [step.get("uses", step.get("name", "")).partition("@")[0] for step in steps]
    assert names.index("Both commits") < names.index("actions/cache") < names.index(SETUP)
    cache = steps[names.index("actions/cache")]["with"]
    for name in ("head/requirements.lock", "base/requirements.lock", "head/pyproject.toml", "python-version"):
        assert name in cache["key"]
    assert len(params.read(WORKFLOW.parents[2] / "params" / "ci" / "gate.yaml").trials) == 2


GH = """#!/bin/bash
echo "$*" >> calls
case "$*" in
  *"/pulls "*) cat number ;;
  *"--paginate"*) cat old ;;
esac
"""


def commented(folder, text, number="7", old=""):
    """Run the workflow's own step with a stand-in for ``gh``; the calls, and the body that would be posted."""
    (folder / "found").mkdir()
    if text is not None:
        (folder / "found" / "compare.md").write_bytes(text)
    (folder / "number").write_text(number)
    (folder / "old").write_text(old)
    (folder / "calls").touch()
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    job = yaml.safe_load(COMMENT.read_text())["jobs"]["comment"]
    script = next(step["run"] for step in job["steps"] if step["name"] == "Comment")
    given = {"MARKER": job["env"]["MARKER"], "MOST": job["env"]["MOST"], "RUN_URL": "RUN", "HEAD_SHA": "a" * 40}
    given |= {"HEAD_OWNER": "someone", "HEAD_BRANCH": 'x"; touch hurt; "$(touch hurt)', "GITHUB_REPOSITORY": "o/r"}
    settings = {**os.environ, **given, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=settings, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not (folder / "hurt").exists()
    body = folder / "body.md"
    return (folder / "calls").read_text(), body.read_text() if body.exists() else ""


@has_workflow
def test_the_first_comment_is_made_and_later_ones_replace_it(tmp_path):
    for name, old, wanted in (("new", "", "POST repos/o/r/issues/7/comments"),
                              ("known", "12\n13\n", "PATCH repos/o/r/issues/comments/12")):  # fmt: skip
        (tmp_path / name).mkdir()
        calls, body = commented(
            tmp_path / name,
            "**Worse: ±5 %** [Look at them](c.html)\n\n<details><summary>All</summary>\n".encode(),
            old=old,
        )
        assert wanted in calls and "-F body=@body.md" in calls
        assert body.startswith("<!-- mic2e-bench -->\n")
        assert "**Worse: ±5 %**\n" in body and "<details><summary>All</summary>" in body


@has_workflow
@pytest.mark.parametrize(("text", "number"), [(None, "7"), (b"x", "")], ids=["nothing measured", "closed since"])
def test_where_there_is_nothing_to_say_or_nobody_to_say_it_to_there_is_no_comment(tmp_path, text, number):
    calls, _ = commented(tmp_path, text, number)
    assert "POST" not in calls and "PATCH" not in calls


@has_workflow
def test_what_a_fork_wrote_is_text(tmp_path):
    evil = (
        "@all #1 o/r#2 GH-3 [x](http://evil) ![y](//evil) [z][1]\n[1]: http://evil\n<img> <a href=y> <!-- --> www.evil"
    )
    _, body = commented(tmp_path, evil.encode() + b"\xff\x00" + b"<" * 100_000)
    own, _, theirs = body.partition("\n\n")
    assert len(body) < 65_536 and body.endswith("(Cut here.)\n") and "(RUN)" in own
    for acting in ("@all", "#1", "#2", "GH-3", "](", "][", "]:", "://", "<img", "<a ", "<!--", "www."):
        assert acting not in theirs
