"""The command line inside Blender: generate onto a mesh of a .blend, and the demo.

    blender --background --command codetalker generate AUDIO --blend IN.blend --target NAME --output OUT.blend
    blender --background --command codetalker generate --strip NAME ...          (a sound strip of the .blend)
    python -m codetalker_blender.blender.command demo --output build/demo        (Blender as a Python module)

Exit codes: 0; 2 for what the user can cure (one line on stderr); 3 for a bug; 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import bpy
import numpy as np

from .. import checkup, resources
from ..array_files import check_writable
from ..contracts import Motion
from ..errors import Cancelled, OutputError, UserError
from ..job.client import JobError
from ..model_files import ModelCard
from . import demo_head, examination, generation, imports, jobs, library, models, render, sources
from .preferences import DEVICES, engine_settings, models_folder
from .properties import CODETALKER_PG_scene

log = logging.getLogger(__name__)
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
    generate = commands.add_parser("generate", help="animate a mesh of a .blend and save it")
    generate.add_argument("audio", nargs="?", help="the speech; it starts at the current frame")
    generate.add_argument(
        "--strip", metavar="NAME", help="a sound strip of the .blend as the speech, where it is heard"
    )
    generate.add_argument(
        "--limit-to-scene-range",
        action="store_true",
        help="only what lies in the scene's frame range",
    )
    generate.add_argument("--blend", type=Path, help="the .blend to open (default: the one that is open)")
    generate.add_argument("--target", required=True, help="name of the mesh object")
    generate.add_argument("--model", help="name or folder of a model bundle (default: the shipped one)")
    generate.add_argument(
        "--style", help="a speaking style, or two like A=0.3,B=0.7 (default: the model's first)"
    )
    generate.add_argument("--start-frame", type=int, help="default: the current frame")
    generate.add_argument("--device", choices=[row[0] for row in DEVICES])
    generate.add_argument(
        "--variation",
        "--temperature",
        dest="temperature",
        type=float,
        help="0 takes the nearest code (default: the model's own)",
    )
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument("--output", type=Path, required=True, help="the .blend to write")
    generate.set_defaults(action=_generate)
    take = commands.add_parser("import", help="official checkpoints become a model of yours")
    for name in ("stage1", "stage2", "template"):
        take.add_argument(f"--{name}", required=True, metavar="FILE")
    for name in ("subject", "mesh", "regions", "name", "licence"):
        take.add_argument(f"--{name}", default="", help="as in the panel")
    for name in ("codec-heads", "query-heads", "speech-heads"):
        take.add_argument(f"--{name}", type=int, help="as in the panel")
    take.set_defaults(action=_import)
    demo = commands.add_parser("demo", help="the demo head speaks: demo.blend, preview.png, demo.mp4")
    demo.add_argument("--audio", type=Path, help="the speech (default: the shipped sentence)")
    demo.add_argument("--model", help="name or folder of a model bundle (default: the shipped one)")
    demo.add_argument(
        "--style", help="a speaking style, or two like A=0.3,B=0.7 (default: the model's first)"
    )
    demo.add_argument("--output", type=Path, required=True, help="folder for the results")
    demo.set_defaults(action=_demo)
    check = commands.add_parser("check", help="tell whether this installation can run")
    check.set_defaults(action=_check)
    return parser


def _generate(options: argparse.Namespace) -> int:
    if options.temperature is not None and not options.temperature >= 0:
        raise UserError(f"The variation is {options.temperature}.", "It must be 0 or more.")
    if (options.audio is None) == (options.strip is None):
        raise _UsageError(f"{NAME} generate: name either a sound file or, with --strip, a sound strip")
    if options.strip is not None and options.start_frame is not None:
        raise _UsageError(
            f"{NAME} generate: a strip is used where it is heard, so --start-frame says nothing"
        )
    check_writable(options.output)
    if options.blend is not None:
        _open_blend(options.blend)
    scene = bpy.context.scene
    if options.target not in bpy.data.objects:
        meshes = ", ".join(sorted(obj.name for obj in bpy.data.objects if obj.type == "MESH")) or "none"
        raise UserError(f"There is no object called '{options.target}'.", f"Meshes in this file: {meshes}.")
    if options.start_frame is not None:
        # The current frame is where the speech starts; evaluating it here touches nothing that is saved.
        scene.frame_set(options.start_frame)
    settings = scene.codetalker
    settings.target = bpy.data.objects[options.target]
    settings.seed = options.seed
    settings.device = options.device or "preferences"
    settings.own_variation = -1.0 if options.temperature is None else options.temperature
    settings.limit_to_scene_range = options.limit_to_scene_range
    if options.strip is None:
        _take_file(options.audio)
    else:
        settings.source, settings.strip = sources.STRIP_BY_NAME, options.strip
    _, _, written = _speak(options.model, options.style, _Clock())
    _save_blend(options.output)
    for warning in written.warnings:
        sys.stdout.write(f"{warning}\n")
    sys.stdout.write(f"{written} Wrote {options.output}\n")
    return 0


def _import(options: argparse.Namespace) -> int:
    group = bpy.context.window_manager.codetalker_import
    for name, value in vars(options).items():
        if name != "action" and value is not None:
            setattr(group, "model_name" if name == "name" else name, value)
    try:
        run = imports.begin(imports.request_of(group), library.own_folder(), engine_settings())
        run.wait(_Bar("").show_stage)
        sys.stdout.write(f"{run.about}\n")
    finally:
        imports.close_current()
    return 0


def _demo(options: argparse.Namespace) -> int:
    clock = _Clock()
    folder: Path = options.output
    results = {name: folder / name for name in ("demo.blend", "preview.png", "demo.mp4")}
    with _output_folder(folder):
        for path in results.values():
            check_writable(path)
        _make_demo(options, results, clock)
    clock.write_table()
    for path in results.values():
        sys.stdout.write(f"{path}\n")
    return 0


def _check(_options: argparse.Namespace) -> int:
    found = examination.begin()
    found.wait()
    sys.stdout.write(checkup.report(found.findings))
    failed = [finding.subject for finding in found.findings if finding.problem]
    if failed:
        raise UserError(f"Not in order: {', '.join(failed)}.", "The report says what to do.")
    return 0


def _make_demo(options: argparse.Namespace, results: Mapping[str, Path], clock: _Clock) -> None:
    audio = (options.audio or resources.shipped("speech/demo.flac")).resolve()
    with clock.stage("open the head"):
        _open_blend(resources.shipped(demo_head.FILE))
    scene = bpy.context.scene
    if demo_head.NAME not in bpy.data.objects:
        raise UserError(
            f"The demo head holds no object called '{demo_head.NAME}'.", "Install the extension again."
        )
    scene.frame_set(1)
    scene.codetalker.target = bpy.data.objects[demo_head.NAME]
    _take_file(str(audio))
    prepared, motion, written = _speak(options.model, options.style, clock)
    scene.frame_start, scene.frame_end = written.first_frame, written.last_frame
    frames = range(written.first_frame, written.last_frame + 1)
    with tempfile.TemporaryDirectory(prefix=".demo-", dir=options.output) as scratch:
        with clock.stage("save demo.blend"):
            _save_blend(results["demo.blend"])
        # After saving: what suits two cores for a minute is not what a person wants to find in the file.
        render.set_up_cycles(scene, render.RenderSize())
        bar = _Bar("render", lines=True)
        with clock.stage(f"render {len(frames)} frames"), _quiet():
            pictures = render.render_frames(scene, frames, Path(scratch), bar.show)
        with clock.stage("preview.png"):
            sheet = Path(scratch) / "preview.png"
            _contact_sheet(pictures, prepared, motion, sheet)
            sheet.replace(results["preview.png"])
        with clock.stage("demo.mp4"), _quiet():
            video = Path(scratch) / "demo.mp4"
            render.encode_video(pictures, audio, scene, video)
            video.replace(results["demo.mp4"])


def _contact_sheet(pictures: list[Path], prepared: generation.Prepared, motion: Motion, output: Path) -> None:
    """4 × 3 telling frames, each with its frame number and time."""
    face, offsets = prepared.face, motion.offsets
    if len(face.mid_lips):
        upper, lower = face.mid_lips
        gaps = face.vertices[upper] - face.vertices[lower] + offsets[:, upper] - offsets[:, lower]
        opening = np.linalg.norm(gaps, axis=1).astype(np.float32)
    else:
        opening = np.abs(offsets).mean(axis=(1, 2))
    chosen = render.choose_frames(opening, 12)
    captions = [f"{prepared.start_frame + index} {index / motion.fps:.2f}s" for index in chosen]
    render.contact_sheet([pictures[index] for index in chosen], captions, 4, output)


def _take_file(audio: str) -> None:
    """Let the current scene's speech be a sound file."""
    settings = bpy.context.scene.codetalker
    settings.source, settings.audio = sources.FILE, str(Path(audio).resolve())


def _speak(
    model: str | None, style: str | None, clock: _Clock
) -> tuple[generation.Prepared, Motion, generation.Written]:
    """The street for the current scene: settings → motion → keys."""
    settings = bpy.context.scene.codetalker
    folder = resources.find_model(model, models_folder()) if model else resources.default_model()
    settings.model = models.OTHER_FOLDER
    settings.model_folder = str(folder.resolve())
    card = models.card(folder)
    _set_style(settings, card, style)
    with clock.stage("read the scene"):
        prepared = generation.prepare(bpy.context)
    bar = _Bar("")
    with clock.stage("engine"):
        motion, report = jobs.run_blocking(prepared, engine_settings(), bar.show_stage)
    clock.add_parts(report.seconds)
    with clock.stage("write the keys"):
        written = generation.write(prepared, generation.capture(prepared, motion), report.notes)
    return prepared, motion, written


def _set_style(settings: CODETALKER_PG_scene, card: ModelCard, text: str | None) -> None:
    """The style that the command line names, or the model's first."""
    weights = card.style_mix(text if text is not None else card.styles[0])[0]
    spoken = [int(row) for row in weights.nonzero()[0]]
    if len(spoken) > 2:
        raise UserError(f"The style '{text}' blends {len(spoken)} styles.", "Here it can be two.")
    settings.style, settings.style_b = card.styles[spoken[0]], card.styles[spoken[-1]]
    settings.style_mix = float(weights[spoken[-1]]) if len(spoken) == 2 else 0.0


def _open_blend(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"'{path}' does not exist.", "Name a .blend file.")
    try:
        with _quiet():
            bpy.ops.wm.open_mainfile(filepath=str(path.resolve()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise UserError(f"'{path}' cannot be opened: {error}", "Name a .blend file.") from error


def _save_blend(path: Path) -> None:
    """Save a copy, to a temporary name first."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.writing.blend")
    try:
        with _quiet():
            bpy.ops.wm.save_as_mainfile(
                filepath=str(temporary), copy=True, compress=True, relative_remap=True
            )
        temporary.replace(path)
    except (RuntimeError, OSError) as error:
        raise OutputError(f"'{path}' cannot be written: {error}", "Check the folder and the disk.") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _output_folder(folder: Path) -> Iterator[None]:
    """Make the folder; when the work fails, take back what was made of it and holds nothing."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder '{folder}' cannot be made: {error.strerror}.", "Choose another."
        ) from error
    try:
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):  # something is in it
                path.rmdir()
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Blender's own lines, several per rendered frame, off the standard output."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


class _Bar:
    """A progress bar on stderr where that is a terminal; elsewhere a line per tenth, if ``lines``."""

    def __init__(self, label: str, *, lines: bool = False) -> None:
        self.label = label
        self.lines = lines
        self._tenth = 0

    def show_stage(self, stage: str, done: int, total: int) -> None:
        self.label = stage
        self.show(done, total)

    def show(self, done: int, total: int) -> None:
        share = done / max(total, 1)
        if sys.stderr.isatty():
            filled = round(30 * share)
            end = "\n" if done >= total else ""
            sys.stderr.write(f"\r{self.label:10} [{'#' * filled}{'.' * (30 - filled)}] {done}/{total} {end}")
        elif self.lines and int(10 * share) > self._tenth:
            self._tenth = int(10 * share)
            sys.stderr.write(f"{self.label} {done}/{total}\n")
        sys.stderr.flush()


class _Clock:
    """Where the time went."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.rows.append((name, time.perf_counter() - started))

    def add_parts(self, seconds: Mapping[str, float]) -> None:
        """Parts of the last row, indented."""
        self.rows += [(f"    {name}", float(value)) for name, value in seconds.items()]

    def write_table(self) -> None:
        for name, seconds in self.rows:
            sys.stdout.write(f"{name:28}{seconds:8.2f} s\n")
        total = sum(seconds for name, seconds in self.rows if not name.startswith(" "))
        sys.stdout.write(f"{'total':28}{total:8.2f} s\n")


def main() -> int:
    """The command of the bpy module: enable the extension, then run it."""
    from . import register as register_extension  # noqa: PLC0415 - the package registers this module too
    from . import unregister as unregister_extension  # noqa: PLC0415

    register_extension()
    try:
        return run(sys.argv[1:])
    finally:
        unregister_extension()


if __name__ == "__main__":
    sys.exit(main())
