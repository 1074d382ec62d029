"""The command `batch` of both command lines: a manifest → files, a table on stderr, JSON on stdout."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TextIO

from ..disk import explained
from ..errors import UserError
from ..model_files import CONFIG_FILE
from ..standard_streams import own_stdout
from . import ledger, manifest, results
from .cluster import RayCluster
from .pool import LocalPool, Report
from .results import Result
from .tasks import Fingerprints, Program, Task, make_tasks

EXECUTORS = ("local", "ray")


class Executor(Protocol):
    """Runs tasks somewhere, and reports the end of each exactly once."""

    name: str

    def run(self, tasks: Sequence[Task], report: Report) -> None: ...


def add_arguments(parser: argparse.ArgumentParser, options: Iterable[str], switches: Iterable[str]) -> None:
    """The arguments of `batch`.

    options, switches: those of `generate` that may stand in a row, and here for rows that leave them open;
        in those that name files to write, {name} is the row's name
    """
    parser.add_argument(
        "manifest",
        type=Path,
        metavar="MANIFEST.csv|.json|DIR",
        help="one row per clip, or a folder of sounds",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for all results")
    parser.add_argument("--rows", metavar="A-B", help="only these rows of the manifest, counted from 1")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)"
    )
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where the rows are run")
    parser.add_argument(
        "--ray-address", default="auto", metavar="ADDRESS", help="the Ray cluster (default: this machine's)"
    )
    parser.add_argument(
        "--cores", type=int, default=2, metavar="N", help="cores of one worker in the cluster (default: 2)"
    )
    group = parser.add_argument_group("what rows that leave it open shall use")
    for name in options:
        group.add_argument(f"--{name}", dest=f"row_{name}", metavar="VALUE", help="as of `generate`")
    for name in switches:
        group.add_argument(
            f"--{name}", dest=f"row_{name}", action="store_const", const="true", help="the same"
        )


def run(options: argparse.Namespace, program: Program, stderr: TextIO) -> int:
    """Run a batch; -> the exit code.  Raises UserError for what concerns all rows."""
    started = time.perf_counter()
    for name in ("jobs", "cores"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} must be 1 or more, not {getattr(options, name)}.")
    defaults = {
        name.removeprefix("row_"): str(value)
        for name, value in vars(options).items()
        if name.startswith("row_") and value is not None
    }
    # These are named from where the command is, not from where the manifest is.
    for kind in manifest.INPUTS:
        if kind in defaults:
            defaults[kind] = str(Path(defaults[kind]).absolute())
    if "model" in defaults and (Path(defaults["model"]) / CONFIG_FILE).is_file():
        defaults["model"] = str(Path(defaults["model"]).absolute())
    rows = manifest.read_manifest(options.manifest, program.options, defaults)
    tasks = make_tasks(rows, program, options.output)
    if options.rows:
        chosen = {row.number for row in manifest.select(rows, options.rows)}
        tasks = [task for task in tasks if task.number in chosen]
    with explained(options.output):
        options.output.mkdir(parents=True, exist_ok=True)
    found: dict[int, Result] = {}
    width = len(str(len(tasks)))

    def report(result: Result) -> None:
        found[result.number] = result
        if result.bug:
            stderr.write(result.bug)
        said = f": {result.error} {result.hint}".rstrip() if result.error else f" in {result.seconds:.2f} s"
        stderr.write(f"[{len(found):{width}}/{len(tasks)}] {result.name} {result.state}{said}\n")
        stderr.flush()

    with own_stdout() as stdout:
        waiting = _waiting(tasks, Fingerprints(program.models), report)
        if waiting:
            _executor(options, program).run(waiting, report)
        ended = [found[task.number] for task in tasks]
        stderr.write(results.table(ended))
        seconds = time.perf_counter() - started
        stdout.write(f"{json.dumps(results.as_json(ended, options.executor, seconds))}\n")
    return results.exit_code(ended)


def _waiting(tasks: Iterable[Task], fingerprints: Fingerprints, report: Report) -> list[Task]:
    """The tasks that have to be run; the others' results are reported."""
    waiting = []
    for plain in tasks:
        try:
            task = replace(plain, fingerprint=fingerprints.of(plain))
            state = ledger.state_of(task)
        except UserError as error:
            report(Result.of_error(plain, error))
            continue
        if state is ledger.State.FINISHED:
            files = tuple(ledger.outputs_of(task))
            report(Result(task.number, task.name, results.FINISHED_BEFORE, files, runs=0))
        else:
            waiting.append(task)
    return waiting


def _executor(options: argparse.Namespace, program: Program) -> Executor:
    if options.executor == "ray":
        return RayCluster(program.worker, options.ray_address, options.cores)
    return LocalPool(program.worker, options.jobs)
