"""The workflows of the check in CI: what they run, what they may do, and what they make of text from a fork."""

import os
import re
import subprocess

import helpers
import pytest
import yaml

from mic2e_bench.plan import params

WORKFLOW = helpers.ROOT / ".github" / "workflows" / "bench.yml"
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


@has_workflow
def test_the_workflow_names_no_host_and_pins_what_it_uses():
    text = WORKFLOW.read_text()
    assert "://" not in text
    uses = re.findall(r"uses: (\S+)", text)
    assert uses and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in uses)
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert len(params.read(WORKFLOW.parents[2] / "params" / "ci" / "gate.yaml").trials) == 2
