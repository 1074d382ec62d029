"""The job type for Flamenco: it compiles into tasks whose commands, run one by one, make the batch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.batch.running import ENVIRONMENT, ROOT, sounds

SCRIPT = ROOT / "docs" / "farm" / "codetalker_batch.js"

#: The part of the Manager that compiles a job, as its documentation describes it to authors of job types:
#: https://flamenco.blender.org/usage/job-types/
MANAGER = """
const fs = require("fs"), vm = require("vm");
const [script, text] = process.argv.slice(2);
class Task {
    constructor(name, type) { Object.assign(this, { name, type, commands: [], dependencies: [] }); }
    addCommand(command) { this.commands.push(command); }
    addDependency(task) { this.dependencies.push(task.name); }
}
const context = vm.createContext({
    author: { Task: (...a) => new Task(...a), Command: (name, parameters) => ({ name, parameters }) },
});
vm.runInContext(fs.readFileSync(script, "utf-8") + "; this.type = JOB_TYPE;", context);
const settings = JSON.parse(text), tasks = [];
for (const setting of context.type.settings)
    if (!(setting.key in settings) && "default" in setting) settings[setting.key] = setting.default;
context.compileJob({ settings, addTask: task => tasks.push(task) });
process.stdout.write(JSON.stringify({ type: context.type, tasks }));
"""


def compiled(**settings: object) -> dict[str, Any]:
    """What the Manager makes of a job with these settings."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    done = subprocess.run(
        [node, "-e", MANAGER, "compile", str(SCRIPT), json.dumps(settings)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_settings_are_of_types_that_flamenco_has() -> None:
    settings = compiled(manifest="m", output="o")["type"]["settings"]
    assert {setting["type"] for setting in settings} <= {"string", "int32", "float", "bool"}
    assert {setting.get("subtype", "file_path") for setting in settings} <= {"file_path", "dir_path"}
    assert len({setting["key"] for setting in settings}) == len(settings)


def test_every_row_is_in_one_task_and_the_report_waits_for_all() -> None:
    tasks = compiled(manifest="m", output="o", row_count=7, rows_per_task=3)["tasks"]
    assert [task["name"] for task in tasks] == ["rows 1-3", "rows 4-6", "rows 7-1000000", "report"]
    assert tasks[-1]["dependencies"] == [task["name"] for task in tasks[:-1]]
    assert [command["name"] for task in tasks for command in task["commands"]] == ["exec"] * 4
    first = tasks[0]["commands"][0]["parameters"]
    assert first["exe"] == "{blender}"  # the Manager puts each Worker's own in
    assert first["args"][:3] == ["--background", "--command", "codetalker"]


def test_its_commands_make_the_batch(tmp_path: Path) -> None:
    source, out = sounds(tmp_path / "in", 5), tmp_path / "out"
    job = compiled(
        manifest=str(source), output=str(out), row_count=4, rows_per_task=2, program=sys.executable,
        without_blender=True, options="--text !",
    )  # fmt: skip
    reports = []
    for task in job["tasks"]:
        parameters = task["commands"][0]["parameters"]
        # The copying program stands in for the package, whose arguments it shares.
        arguments = [part.replace("codetalker_blender", "tests.batch.copying") for part in parameters["args"]]
        done = subprocess.run(
            [parameters["exe"], *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(done.stdout)["counts"])
    assert [report["done"] for report in reports] == [2, 3, 0]
    assert reports[-1]["finished before"] == 5
    assert (out / "clip 004.copy").read_bytes() == (source / "clip 004.wav").read_bytes() + b"!"
