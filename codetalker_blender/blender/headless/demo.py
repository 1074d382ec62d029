"""The demo: the shipped head speaks, as demo.blend, preview.png and demo.mp4 in a folder."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import bpy
import numpy as np

from ... import resources
from ...contracts import Motion
from ...disk import check_writable
from ...errors import OutputError, UserError
from ...staging import Staging
from ..mesh import demo_head
from ..runs import generation
from . import clip, render
from .console import Bar, Clock, quiet
from .outputs import save_copy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `demo`."""
    parser.add_argument("--audio", type=Path, help="the speech (default: the shipped sentence)")
    parser.add_argument("--model", help="name or folder of a model bundle (default: the shipped one)")
    parser.add_argument(
        "--style", help="a speaking style, or two like A=0.3,B=0.7 (default: the model's first)"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")


def make(options: argparse.Namespace) -> int:
    """Make the three files; -> the exit code.  Raises UserError."""
    clock = Clock()
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


def _make_demo(options: argparse.Namespace, results: Mapping[str, Path], clock: Clock) -> None:
    audio = (options.audio or resources.shipped("speech/demo.flac")).resolve()
    with clock.stage("open the head"):
        clip.open_blend(resources.shipped(demo_head.FILE))
    scene = bpy.context.scene
    if demo_head.NAME not in bpy.data.objects:
        raise UserError(
            f"The demo head holds no object called '{demo_head.NAME}'.", "Install the extension again."
        )
    scene.frame_set(1)
    scene.codetalker.target = bpy.data.objects[demo_head.NAME]
    clip.take_file(str(audio))
    prepared, motion, written = clip.speak(options.model, options.style, clock)
    scene.frame_start, scene.frame_end = written.first_frame, written.last_frame
    frames = range(written.first_frame, written.last_frame + 1)
    with tempfile.TemporaryDirectory(prefix=".demo-", dir=options.output) as scratch:
        with clock.stage("save demo.blend"), Staging() as staging:
            save_copy(staging.neighbour(results["demo.blend"]), results["demo.blend"])
            staging.publish()
        # After saving: what suits two cores for a minute is not what a person wants to find in the file.
        render.set_up_cycles(scene, render.RenderSize())
        bar = Bar("render", lines=True)
        with clock.stage(f"render {len(frames)} frames"), quiet():
            pictures = render.render_frames(scene, frames, Path(scratch), bar.show)
        with clock.stage("preview.png"), Staging() as staging:
            _contact_sheet(pictures, prepared, motion, staging.file(results["preview.png"]))
            staging.publish()
        with clock.stage("demo.mp4"), quiet(), Staging() as staging:
            render.encode_video(pictures, audio, scene, staging.file(results["demo.mp4"]))
            staging.publish()


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
