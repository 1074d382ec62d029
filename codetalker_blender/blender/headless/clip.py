"""One clip on the command line: its arguments, and the way from them to files.

arguments ─► the open scene ─► generation.py ─► outputs.py ─► a report
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from ... import resources
from ...contracts import Motion, Progress
from ...errors import UserError, reason_of
from ...job.messages import Report
from ...model_files import ModelCard, read_face
from ..bundles import models
from ..interchange import exports
from ..interchange.exports import ENDINGS, Performance
from ..preferences import DEVICES, EngineSettings, engine_settings, models_folder
from ..properties import CODETALKER_PG_scene
from ..retargeting import bases, bindings, fitting, mapping_settings
from ..retargeting.follow import pause
from ..runs import generation, jobs
from ..sound import sources
from . import layer_options, outputs
from .bounds import check_bounds
from .console import Bar, Clock, quiet

#: What --output-mode says, and the object's own setting.
OUTPUT_MODES = {"per-frame": "PER_FRAME", "compact": "COMPACT", "existing": "EXISTING"}
#: Options of generate that a row of a batch may set; those without a value; those that name what it writes.
OPTIONS = (
    *("strip", "limit-to-scene-range"),
    *("blend", "object", "model", "style", "output-mode", "mapping", "max-error-mm", "start-frame"),
    *("device", "variation", "seed", "save", "render", "export", "fit"),
    *layer_options.OPTIONS,
)
SWITCHES = ("limit-to-scene-range", "fit", *layer_options.SWITCHES)
OUTPUTS = ("save", "render", "export")

#: The largest of Blender's whole numbers, and of its frames.
_MOST_SEED, _MOST_FRAME = 2**31 - 1, 1_048_574

#: Runs the model for what was read from the scene.
RunModel = Callable[[generation.Prepared, EngineSettings, Progress], tuple[Motion, Report]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `generate`."""
    # SUPPRESS, so that the absent positional does not undo --audio.
    parser.add_argument("audio", nargs="?", default=argparse.SUPPRESS, help="the speech; the same as --audio")
    parser.add_argument("--audio", help="the speech; it starts at the current frame")
    parser.add_argument(
        "--strip", metavar="NAME", help="a sound strip of the .blend as the speech, where it is heard"
    )
    parser.add_argument(
        "--limit-to-scene-range",
        action="store_true",
        help="only what lies in the scene's frame range",
    )
    parser.add_argument("--blend", type=Path, help="the .blend to open (default: the one that is open)")
    parser.add_argument(
        "--object", "--target", dest="target", metavar="NAME", help="the mesh (default: the file's Target)"
    )
    parser.add_argument("--model", help="name or folder of a model bundle (default: the shipped one)")
    parser.add_argument(
        "--style", help="a speaking style, or two like A=0.3,B=0.7 (default: the model's first)"
    )
    parser.add_argument(
        "--fit",
        action="store_true",
        help="fit the model's face to a mesh of another topology that keeps no fit yet",
    )
    parser.add_argument("--output-mode", choices=list(OUTPUT_MODES), help="default: the object's own setting")
    parser.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE.json",
        help="a saved mapping of the object's keys, for the output mode existing",
    )
    parser.add_argument("--max-error-mm", type=float, help="bound of compact (default: the object's own)")
    parser.add_argument("--start-frame", type=int, help="default: the current frame")
    layer_options.add_arguments(parser)
    parser.add_argument("--device", choices=[row[0] for row in DEVICES])
    parser.add_argument(
        "--variation",
        "--temperature",
        dest="temperature",
        type=float,
        help="0 takes the nearest code (default: the model's own)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--save", "--output", dest="save", type=Path, metavar="OUT.blend", help="the .blend to write"
    )
    parser.add_argument(
        "--render", type=Path, metavar="DIR|OUT.mp4", help="pictures or a video, as the scene is set up"
    )
    parser.add_argument(
        "--export",
        nargs="+",
        action="extend",
        type=Path,
        metavar="FILE",
        help=f"one of each: {' '.join(ENDINGS)}",
    )


def check(options: argparse.Namespace) -> outputs.Wanted:
    """Refuse arguments that make no sense whatever is in the files; -> what is wanted.  Raises UserError."""
    if options.temperature is not None and not 0 <= options.temperature < math.inf:
        raise UserError(f"--variation is {options.temperature:g}.", "It must be a number, 0 or more.")
    if options.seed is not None:
        check_bounds("--seed", options.seed, 0, _MOST_SEED)
    if options.start_frame is not None:
        check_bounds("--start-frame", options.start_frame, -_MOST_FRAME, _MOST_FRAME)
    if options.audio == "":
        raise UserError("No sound file is named after --audio.", "Name one.")
    if (options.audio is None) == (options.strip is None):
        raise UserError(
            "The speech is not clear.",
            "Name either a sound file after --audio or a sound strip after --strip.",
        )
    if options.strip is not None and options.start_frame is not None:
        raise UserError("A strip is used where it is heard.", "Leave out --start-frame.")
    save, render = (path and path.absolute() for path in (options.save, options.render))
    wanted = outputs.Wanted(save, render, tuple(path.absolute() for path in options.export or ()))
    outputs.check_names(wanted)
    return wanted


def make(options: argparse.Namespace, run_model: RunModel) -> dict[str, object]:
    """Animate, and write what is wanted; -> the report.  Raises UserError, with nothing written."""
    wanted = check(options)
    outputs.check_disk(wanted)
    if options.blend is not None:
        open_blend(options.blend)
    scene = bpy.context.scene
    outputs.check_scene(wanted, scene)
    target = _target(options.target, scene)
    if options.start_frame is not None:
        # The current frame is where the speech starts; evaluating it here touches nothing that is saved.
        scene.frame_set(options.start_frame)
    settings = scene.codetalker
    settings.target = target
    settings.seed = options.seed
    settings.device = options.device or "preferences"
    settings.own_variation = -1.0 if options.temperature is None else options.temperature
    with pause():  # the run that comes writes what they say
        _set_output_mode(target, options.output_mode, options.max_error_mm)
        layer_options.apply(options, target)
        if options.mapping is not None:
            _set_mapping(target, options.mapping)
    clock = Clock()
    settings.limit_to_scene_range = options.limit_to_scene_range
    if options.strip is None:
        take_file(options.audio)
    else:
        settings.source, settings.strip = sources.STRIP_BY_NAME, options.strip
    weights = any(exports.holds_weights(path) for path in wanted.exports)
    prepared, motion, written = speak(
        options.model, options.style, clock, run_model, fit=options.fit, weights=weights
    )
    frames = range(written.first_frame, written.last_frame + 1)
    style = options.style or prepared.card.styles[0]
    performance = Performance(target, scene, frames, motion, prepared.card.name, style)
    with clock.stage("outputs"):
        speech = outputs.Speech(prepared.request.audio, prepared.start_frame)
        files = outputs.produce(wanted, performance, speech, Bar("", lines=True).show_stage)
    for warning in written.warnings:
        sys.stderr.write(f"{warning}\n")
    return {
        "outputs": [str(path) for path in files],
        "object": written.target,
        "audio": prepared.source.name,
        "model": prepared.card.name,
        "style": style,
        "seed": options.seed,
        "first_frame": written.first_frame,
        "last_frame": written.last_frame,
        "fps": motion.fps,
        "keys": written.outcome.key_count,
        "error_mm": written.outcome.error_mm,
        "rms_mm": written.outcome.rms_mm,
        "fit": bindings.report(target) if written.outcome.fitted else None,
        "warnings": list(written.warnings),
        "stages": clock.seconds,
    }


def _target(name: str | None, scene: bpy.types.Scene) -> bpy.types.Object:
    """The object called ``name``, or the one that the file's panel names.  Raises UserError."""
    meshes = ", ".join(sorted(obj.name for obj in bpy.data.objects if obj.type == "MESH")) or "none"
    hint = f"Meshes in this file: {meshes}."
    if name is not None and name not in bpy.data.objects:
        raise UserError(f"There is no object called '{name}'.", hint)
    target = bpy.data.objects[name] if name is not None else scene.codetalker.target
    if target is None:
        raise UserError("No object is named, and the file has no Target.", f"Name one after --object. {hint}")
    return target


def _set_output_mode(target: bpy.types.Object, mode: str | None, max_error_mm: float | None) -> None:
    """What the command line leaves open stays as the object has it.  Raises UserError."""
    settings = target.codetalker
    if max_error_mm is not None:
        bounds = settings.bl_rna.properties["max_error_mm"]
        if not bounds.hard_min <= np.float32(max_error_mm) <= bounds.hard_max:  # as Blender keeps it
            raise UserError(
                f"The maximum error is {max_error_mm} mm.",
                f"It must be from {bounds.hard_min:g} to {bounds.hard_max:g}.",
            )
        settings.max_error_mm = max_error_mm
    if mode is not None:
        settings.output = OUTPUT_MODES[mode]


def _set_mapping(target: bpy.types.Object, path: Path) -> None:
    """Raises UserError."""
    if target.codetalker.output != OUTPUT_MODES["existing"]:
        raise UserError(
            f"'{target.name}' is not set to use the keys that it has, which --mapping is about.",
            "Add --output-mode existing.",
        )
    mapping_settings.load(target, path)


def take_file(audio: str) -> None:
    """Let the current scene's speech be a sound file."""
    settings = bpy.context.scene.codetalker
    settings.source, settings.audio = sources.FILE, str(Path(audio).resolve())


def speak(
    model: str | None,
    style: str | None,
    clock: Clock,
    run_model: RunModel = jobs.run_blocking,
    *,
    fit: bool = False,
    weights: bool = False,
) -> tuple[generation.Prepared, Motion, generation.Written]:
    """The street for the current scene: settings → motion → keys.

    fit: fit the model's face to the target first, where that is needed
    weights: see to it that the motion can be shown by ARKit's shapes, whatever is written onto the mesh
    """
    settings = bpy.context.scene.codetalker
    folder = resources.find_model(model, models_folder()) if model else resources.default_model()
    settings.model = models.OTHER_FOLDER
    settings.model_folder = str(folder.resolve())
    card = models.card(folder)
    _set_style(settings, card, style)
    if fit and settings.target is not None:
        with clock.stage("fit"):
            fitting.ensure(settings.target, bpy.context.scene, read_face(folder, card), card)
    with clock.stage("read the scene"):
        prepared = generation.prepare(bpy.context)
        if weights:
            bases.check(folder, card)
            prepared = replace(
                prepared, request=replace(prepared.request, shapes=bases.folder(), needs_shapes=True)
            )
    bar = Bar("", lines=True)
    with clock.stage("engine"):
        motion, report = run_model(prepared, engine_settings(), bar.show_stage)
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


def open_blend(path: Path) -> None:
    """Raises UserError."""
    if not path.is_file():
        wrong = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"'{path}' {wrong}.", "Name a .blend file.")
    try:
        with quiet():
            bpy.ops.wm.open_mainfile(filepath=str(path.resolve()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise UserError(f"'{path}' cannot be opened: {reason_of(error)}.", "Name a .blend file.") from error
