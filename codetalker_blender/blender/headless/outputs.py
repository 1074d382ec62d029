"""What a run on the command line leaves: the .blend, pictures or a video, exported files.

All of it waits under hidden names until everything is made, and then takes its place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...contracts import AudioSource
from ...disk import check_writable, mode_of
from ...errors import OutputError, UserError, reason_of
from ...staging import Staging
from ..interchange import exports
from ..interchange.exports import Performance
from . import render
from .console import quiet

VIDEO = ".mp4"
#: progress(stage, done, total)
Show = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Wanted:
    """save: a .blend; render: a folder for PNG pictures, or a video; exports: see exports.py"""

    save: Path | None = None
    render: Path | None = None
    exports: tuple[Path, ...] = ()

    @property
    def files(self) -> list[Path]:
        """All but a folder of pictures."""
        render = [self.render] if self.render is not None and self.renders_video else []
        return [*([self.save] if self.save else []), *self.exports, *render]

    @property
    def renders_video(self) -> bool:
        return self.render is not None and self.render.suffix.lower() == VIDEO


@dataclass(frozen=True)
class Speech:
    """What a video plays.

    audio: as the model heard it; start_frame: the scene's frame in which that is heard first
    """

    audio: AudioSource
    start_frame: int


def check_names(wanted: Wanted) -> None:
    """Refuse what no disk need be asked about.  Raises OutputError."""
    if not wanted.files and wanted.render is None:
        raise OutputError("Nothing would be kept.", "Name a file with --save, --render or --export.")
    if wanted.save is not None and wanted.save.suffix.lower() != ".blend":
        raise OutputError(f"'{wanted.save}' is no .blend.", "Name a file that ends in .blend after --save.")
    for path in wanted.exports:
        exports.check(path)
    if len({path.absolute() for path in wanted.files}) < len(wanted.files):
        raise OutputError("Two outputs have the same name.", "Give each a name of its own.")


def check_disk(wanted: Wanted) -> None:
    """Refuse, before any work, what the disk would refuse after it.  Raises OutputError."""
    for path in wanted.files:
        check_writable(path)
    if wanted.render is not None and not wanted.renders_video:
        if mode_of(wanted.render) and not wanted.render.is_dir():
            raise OutputError(f"'{wanted.render}' is a file.", "Name a folder, or a file ending in .mp4.")
        check_writable(wanted.render / "0001.png" if wanted.render.is_dir() else wanted.render)


def check_scene(wanted: Wanted, scene: bpy.types.Scene) -> None:
    """Raises UserError for a scene that cannot be rendered when it shall be."""
    if wanted.render is not None and scene.camera is None:
        raise UserError(f"The scene '{scene.name}' has no camera, so nothing can be rendered.", "Add one.")


def produce(wanted: Wanted, performance: Performance, speech: Speech, show: Show) -> list[Path]:
    """Make everything that is wanted; -> the files.  Raises UserError, with nothing written."""
    scene = performance.scene
    total = len(wanted.files) + (wanted.render is not None and not wanted.renders_video)
    done = 0
    with Staging() as staging, tempfile.TemporaryDirectory(prefix="codetalker-") as scratch:
        if wanted.save is not None:
            save_copy(staging.neighbour(wanted.save), wanted.save)
            show("save", done := done + 1, total)
        for path in wanted.exports:
            draft = staging.file(path)
            with quiet(), _called(path, draft):
                exports.export(draft, performance)
            show("export", done := done + 1, total)
        if wanted.render is not None:
            # Last, because it changes how the scene is rendered.
            folder = Path(scratch) if wanted.renders_video else staging.folder(wanted.render)
            pictures = _render(scene, performance.frames, folder, show)
            if wanted.renders_video:
                sound = _sound_file(speech.audio, Path(scratch))
                late = speech.start_frame - performance.frames[0]
                cut = round(speech.audio.start_s * scene.render.fps / scene.render.fps_base)
                with quiet():
                    render.encode_video(pictures, sound, scene, staging.file(wanted.render), 1 + late - cut)
        return staging.publish()


@contextmanager
def _called(path: Path, draft: Path) -> Iterator[None]:
    """Where a draft cannot be written, it is the file that it was to become which is named."""
    try:
        yield
    except OutputError as error:
        raise OutputError(error.message.replace(str(draft), str(path)), error.hint) from error


def _sound_file(audio: AudioSource, scratch: Path) -> Path:
    """A file that Blender can play; what is packed or was mixed down becomes one."""
    if audio.data is None:
        return audio.path
    path = scratch / f"speech{audio.path.suffix}"
    path.write_bytes(audio.data)
    return path


def save_copy(draft: Path, path: Path) -> None:
    """Save a copy of the open file as ``draft``, which is to become ``path``.  Raises OutputError."""
    try:
        with quiet():
            bpy.ops.wm.save_as_mainfile(
                filepath=str(draft.absolute()), copy=True, compress=True, relative_remap=True
            )
    except (RuntimeError, OSError) as error:
        raise OutputError(
            f"'{path}' cannot be written: {reason_of(error)}.", "Check the folder and the disk."
        ) from error


def _render(scene: bpy.types.Scene, frames: Iterable[int], folder: Path, show: Show) -> list[Path]:
    try:
        with quiet():
            return render.render_frames(
                scene, list(frames), folder, lambda done, total: show("render", done, total)
            )
    except RuntimeError as error:
        raise UserError(
            f"The scene '{scene.name}' cannot be rendered: {reason_of(error)}.",
            "Without a display, use Cycles.",
        ) from error
