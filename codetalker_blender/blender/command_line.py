"""The command line inside Blender: generate onto a mesh of a .blend, batches of that, and the demo.

    blender --background IN.blend --command codetalker generate --audio A --object NAME --save OUT.blend
    blender --background IN.blend --command codetalker generate --strip NAME ...
    blender --background --command codetalker batch MANIFEST.csv --output FOLDER
    python -m codetalker_blender.blender demo --output build/demo                (Blender as a Python module)

Exit codes: 0 done; 2 for what the user can cure (one line on stderr); 3 for a bug; 130 interrupted.
Progress goes to stderr.  generate and batch write exactly one JSON object to stdout, unless their
arguments or the manifest are refused.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import bpy

from .. import checkup
from ..batch import command as batch
from ..batch import worker as batch_worker
from ..batch.tasks import Program
from ..disk import explained
from ..errors import Cancelled, UserError
from ..job.failures import JobError
from ..standard_streams import own_stdout
from .bundles import imports, library
from .headless import clip, demo
from .headless.console import Bar, write_json
from .preferences import engine_settings, models_folder
from .runs import jobs
from .runs.kept_engine import KeptEngine
from .setup import examination

NAME = "codetalker"
_handles: list[object] = []


class _UsageError(Exception):
    """Arguments that make no sense; the text is argparse's own sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise _UsageError(f"{self.prog}: {message}")


def register() -> None:
    """Make ``--command codetalker`` known to Blender."""
    _handles.append(bpy.utils.register_cli_command(NAME, run))


def unregister() -> None:
    """Take it back."""
    while _handles:
        bpy.utils.unregister_cli_command(_handles.pop())


def run(arguments: Sequence[str]) -> int:
    """Run one command; -> its exit code.  Nothing is raised."""
    try:
        options = _parser().parse_args(arguments)
        return int(options.action(options))
    except (UserError, _UsageError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 2
    except JobError as error:
        sys.stderr.write(f"{error.traceback}\n{error}\n")
        return 3
    except (KeyboardInterrupt, Cancelled):
        sys.stderr.write("Interrupted.\n")
        return 130
    except SystemExit as end:  # argparse's --help
        return int(end.code or 0)
    except Exception:  # noqa: BLE001 - the exit code must tell a bug from a user's mistake
        traceback.print_exc()
        return 3


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=NAME, description="Turn speech into facial animation on a mesh.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    generate = commands.add_parser(
        "generate", help="animate a mesh of a .blend, and save, render or export it"
    )
    clip.add_arguments(generate)
    generate.set_defaults(action=_generate)
    many = commands.add_parser("batch", help="generate for every row of a manifest; goes on where it stopped")
    batch.add_arguments(many, [name for name in clip.OPTIONS if name not in clip.SWITCHES], clip.SWITCHES)
    many.set_defaults(action=_batch)
    row_server = commands.add_parser("batch-worker", help="the process that runs a batch's rows")
    row_server.set_defaults(action=_serve_rows)
    show = commands.add_parser("demo", help="the demo head speaks: demo.blend, preview.png, demo.mp4")
    demo.add_arguments(show)
    show.set_defaults(action=demo.make)
    take = commands.add_parser("import", help="official checkpoints become a model of yours")
    for name in ("stage1", "stage2", "template"):
        take.add_argument(f"--{name}", required=True, metavar="FILE")
    for name in ("subject", "mesh", "regions", "name", "licence"):
        take.add_argument(f"--{name}", default="", help="as in the panel")
    for name in ("codec-heads", "query-heads", "speech-heads"):
        take.add_argument(f"--{name}", type=int, help="as in the panel")
    take.set_defaults(action=_import)
    check = commands.add_parser("check", help="tell whether this installation can run")
    check.set_defaults(action=_check)
    return parser


def _generate(options: argparse.Namespace) -> int:
    with own_stdout() as stdout:
        try:
            report = clip.make(options, jobs.run_blocking)
        except UserError as error:
            write_json(stdout, {"status": "refused", "error": error.message, "hint": error.hint})
            raise
        except (KeyboardInterrupt, Cancelled):
            write_json(stdout, {"status": "interrupted"})
            raise
        except Exception as error:
            write_json(stdout, {"status": "bug", "error": f"{type(error).__name__}: {error}"})
            raise
        write_json(stdout, {"status": "done", **report})
    return 0


def _batch(options: argparse.Namespace) -> int:
    if options.row_blend is None and bpy.data.filepath:
        options.row_blend = bpy.data.filepath  # the one that Blender was started with
    module = f"{Path(__file__).parents[1].name}.blender"
    runner = (
        (bpy.app.binary_path, "--background", "--command", NAME)
        if bpy.app.binary_path
        else ("", "-m", module)
    )
    program = Program(
        options=clip.OPTIONS,
        switches=clip.SWITCHES,
        outputs=clip.OUTPUTS,
        default_output=("save", ".blend"),
        check=_check_row,
        worker=(*runner, "batch-worker"),
        models=models_folder(),
    )
    return batch.run(options, program, sys.stderr)


def _check_row(arguments: Sequence[str]) -> None:
    """Raises UserError for arguments of a row that make no sense."""
    try:
        options = _parser().parse_args(["generate", *arguments])
    except _UsageError as error:
        raise UserError(f"{error}.") from error
    if options.blend is None:
        raise UserError("It names no .blend.", "Fill in the column 'blend', or name one after --blend.")
    clip.check(options)


def _serve_rows(_options: argparse.Namespace) -> int:
    engine = KeptEngine()

    def perform(arguments: Sequence[str]) -> dict[str, object]:
        options = _parser().parse_args(["generate", *arguments])
        for path in (options.save, options.render, *(options.export or ())):
            if path is not None:
                with explained(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
        return clip.make(options, engine.run)

    try:
        return batch_worker.serve(perform)
    finally:
        engine.close()


def _import(options: argparse.Namespace) -> int:
    group = bpy.context.window_manager.codetalker_import
    for name, value in vars(options).items():
        if name != "action" and value is not None:
            setattr(group, "model_name" if name == "name" else name, value)
    try:
        run = imports.begin(imports.request_of(group), library.own_folder(), engine_settings())
        run.wait(Bar("").show_stage)
        sys.stdout.write(f"{run.about}\n")
    finally:
        imports.close_current()
    return 0


def _check(_options: argparse.Namespace) -> int:
    found = examination.begin()
    found.wait()
    sys.stdout.write(checkup.report(found.findings))
    failed = [finding.subject for finding in found.findings if finding.problem]
    if failed:
        raise UserError(f"Not in order: {', '.join(failed)}.", "The report says what to do.")
    return 0
