"""Official CodeTalker checkpoints → a model of the user's, made beside Blender in the job's worker.

the session's settings ─► ImportRequest ─► Importing (a job, into a draft folder) ─► the library
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ... import model_library
from ...contracts import ImportRequest, Progress, no_progress
from ...errors import Cancelled, UserError
from ...face.templates import read_templates
from ...job import messages
from ...job.client import JobClient
from ...job.failures import error_of
from .. import compat
from ..preferences import EngineSettings


def _file(name: str, description: str, subtype: Any = "FILE_PATH") -> Any:
    return bpy.props.StringProperty(
        name=name, description=description, subtype=subtype, options=compat.PATH_OPTIONS
    )


def _heads(name: str, default: int) -> Any:
    return bpy.props.IntProperty(
        name=name,
        description="Attention heads of the network; checkpoints do not tell, the released ones have these",
        min=1,
        max=64,
        default=default,
    )


def _subjects(group: CODETALKER_PG_import, context: bpy.types.Context, typed: str) -> list[str]:
    path = Path(bpy.path.abspath(group.template))
    try:
        return list(_subjects_in(path, path.stat().st_mtime_ns))
    except OSError:
        return []


@lru_cache(maxsize=4)
def _subjects_in(path: Path, changed_ns: int) -> tuple[str, ...]:
    if path.suffix.lower() not in (".pkl", ".npz"):
        return ()
    try:
        return tuple(sorted(read_templates(path)))
    except UserError:
        return ()  # importing says what is wrong


class CODETALKER_PG_import(bpy.types.PropertyGroup):
    """What is to be imported: of this session, not of a scene."""

    if TYPE_CHECKING:
        stage1: str
        stage2: str
        template: str
        subject: str
        mesh: str
        regions: str
        model_name: str
        licence: str
        codec_heads: int
        query_heads: int
        speech_heads: int
    else:
        stage1: _file("Stage 1", "The codebook's checkpoint, a .pth.tar of CodeTalker's authors")
        stage2: _file("Stage 2", "The speech-driven checkpoint of the same model")
        template: _file(
            "Template", "The face at rest: .ply, .obj, .npy, .npz or the data set's templates.pkl"
        )
        subject: bpy.props.StringProperty(
            name="Subject",
            description="Whose template to take, where the file holds several",
            search=_subjects,
        )
        mesh: _file("Mesh", "A .ply or .obj with the face's polygons, if the template has none")
        regions: _file(
            "Regions", "Folder of lve.txt, fdd.txt or FLAME_masks.pkl, if there is one", "DIR_PATH"
        )
        model_name: bpy.props.StringProperty(
            name="Name", description="Name of the model; empty takes the file's"
        )
        licence: bpy.props.StringProperty(
            name="Licence", description="What the checkpoint may be used for, as its owners say"
        )
        codec_heads: _heads("Codec Heads", ImportRequest.codec_heads)
        query_heads: _heads("Query Heads", ImportRequest.query_heads)
        speech_heads: _heads("Speech Heads", ImportRequest.speech_heads)


def request_of(group: CODETALKER_PG_import) -> ImportRequest:
    """The settings as a request, whose output is its name alone.  Raises UserError for what is not chosen."""
    needed = {"stage1": "stage-1 checkpoint", "stage2": "stage-2 checkpoint", "template": "template"}
    for name, words in needed.items():
        if not getattr(group, name):
            raise UserError(f"No {words} is chosen.", "Choose it under Import Checkpoints.")

    def path(text: str) -> Path:
        return Path(bpy.path.abspath(text))

    stage1 = path(group.stage1)
    name = (
        group.model_name.strip()
        or re.sub(r"[-_ ]?stage[-_ ]?1", "", stage1.name.split(".")[0])
        or "CodeTalker"
    )
    return ImportRequest(
        stage1=stage1,
        stage2=path(group.stage2),
        template=path(group.template),
        output=Path(model_library.folder_name(name)),
        subject=group.subject or None,
        mesh=path(group.mesh) if group.mesh else None,
        regions=path(group.regions) if group.regions else None,
        name=name,
        licence=group.licence.strip() or ImportRequest.licence,
        codec_heads=group.codec_heads,
        query_heads=group.query_heads,
        speech_heads=group.speech_heads,
    )


class Importing:
    """One import in the background, into a draft folder of the library.

    stage, fraction: how far it is, for the panel
    """

    def __init__(self, request: ImportRequest, library: Path, engine: EngineSettings) -> None:
        """Raises UserError when the library cannot be written to or the engine cannot be started."""
        self.stage, self.fraction = "starting", 0.0
        self.about = ""
        self._library = library
        with ExitStack() as undo:
            draft = undo.enter_context(model_library.draft(library))
            self._client = JobClient(engine.mode, engine.python, engine.extra_paths)
            undo.callback(self._client.close)  # before its draft goes
            self._request = replace(request, output=draft / request.output.name)
            self._client.start(self._request)
            self._undo = undo.pop_all()

    def advance(self) -> Path | None:
        """Take in what the job has reported; the model's folder once it is there.

        Raises UserError, Cancelled, or JobError for a bug.
        """
        for message in self._client.poll():
            match message:
                case messages.Progress(stage, done, total):
                    self.stage, self.fraction = stage, done / max(total, 1)
                case messages.Imported(about):
                    folder = model_library.place(
                        self._request.output, self._library, self._request.output.name
                    )
                    self.about = in_words(about.replace(str(self._request.output), str(folder)))
                    return folder
                case messages.Failed():
                    raise _worded(error_of(message))
                case messages.Cancelled():
                    raise Cancelled
        return None

    def wait(self, progress: Progress = no_progress) -> Path:
        """Wait for the model's folder.  Raises as ``advance``."""
        try:
            while (folder := self.advance()) is None:
                progress(self.stage, round(100 * self.fraction), 100)
                time.sleep(0.05)
        except KeyboardInterrupt as error:
            raise Cancelled from error
        return folder

    def cancel(self) -> None:
        """Ask the job to stop; ``advance`` tells when it has."""
        self.stage = "cancelling"
        self._client.cancel()

    def close(self) -> None:
        """Stop the job and leave no draft behind."""
        self._undo.close()


def in_words(text: str) -> str:
    """A command line's options as the panel calls them: --codec-heads, Codec Heads."""
    return re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", " ").title(), text)


def _worded(error: Exception) -> Exception:
    return (
        type(error)(in_words(error.message), in_words(error.hint)) if isinstance(error, UserError) else error
    )


# As with the current job: the panel and Cancel must find what the operator drives, and unregister() end it.
_current: Importing | None = None


def current() -> Importing | None:
    """The running import, if any."""
    return _current


def begin(request: ImportRequest, library: Path, engine: EngineSettings) -> Importing:
    """Start an import and make it the current one.  Raises UserError."""
    global _current  # noqa: PLW0603
    _current = Importing(request, library, engine)
    return _current


def close_current() -> None:
    """End the current import, if any, and forget it."""
    global _current
    ended, _current = _current, None
    if ended is not None:
        ended.close()
