"""Any folder of ``vertices_npy/``, ``wav/`` and ``templates.pkl`` or ``.npz``, with a ``splits.json``.

    PATH/vertices_npy/NAME.npy    positions (T, V, 3) or (T, 3V), floats
    PATH/wav/NAME.wav             the sound (.flac and .ogg too)
    PATH/templates.pkl            speaker -> (V, 3), the speaker at rest, in the positions' units
    PATH/splits.json              see :class:`training.datasets.splits.SplitsFile`

A clip's name begins with its speaker's ("anna_07").  BIWI and the processed form of VOCASET are such
folders, whose splits are published.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from codetalker_blender.contracts import AudioSource, FaceMesh, FloatArray, Waveform
from codetalker_blender.engine.audio import read_waveform
from codetalker_blender.errors import UserError
from codetalker_blender.face.meshes import Mesh, read_mesh
from codetalker_blender.face.regions import FLAME_FILE, TEXT_FILES, read_regions
from codetalker_blender.face.templates import face_of, read_templates

from .clip import Dataset, VertexMotion, map_positions
from .recordings import DatasetProblems, Problem, Recording, Survey, read_split
from .splits import SPLITS_FILE, TRAIN, VERTEX_FIELDS, assign, read_splits_file, speaker_of

MOTION_FOLDER, SOUND_FOLDER, REGION_FOLDER = "vertices_npy", "wav", "regions"
TEMPLATE_FILES = ("templates.pkl", "templates.npz")
SOUND_SUFFIXES = (".wav", ".flac", ".ogg")


@dataclass(frozen=True)
class FaceSources:
    """Files that tell more about the face than its template.

    mesh: .ply or .obj with the polygons
    regions: folder of lve.txt, fdd.txt or FLAME_masks.pkl; None looks into the data set and its regions/
    """

    mesh: Path | None = None
    regions: Path | None = None


NO_SOURCES = FaceSources()


@dataclass(frozen=True)
class VertexFolder:
    """A folder of vertex files and what is needed to read them.

    templates: speaker -> (V, 3) in the files' units; template_file: where they come from
    frame_step: every how many-th frame is used; styles: speakers by style row
    """

    root: Path
    templates: Mapping[str, FloatArray]
    template_file: str
    vertex_count: int
    frame_step: int
    units_per_metre: float
    styles: tuple[str, ...]


#: Clip name -> its split and speaker; None when it belongs to no split.
Place = Callable[[str], tuple[str, str] | None]


def survey_folder(root: Path, face: FaceSources = NO_SOURCES) -> Survey:
    """List ``root``.  Raises UserError when nothing in it can be used."""
    about = read_splits_file(root / SPLITS_FILE, VERTEX_FIELDS)
    templates, template_file = open_templates(root)
    # the count that most templates have; a template with another is its clips' problem
    vertex_count = Counter(len(template) for template in templates.values()).most_common(1)[0][0]
    placed, wrong = assign(about.splits, clip_names(root))
    problems = [Problem(SPLITS_FILE, text) for text in wrong]
    # a clip of nobody in templates is listed too, so that its motion file is named as the problem
    speakers = {name: speaker_of(name, templates) or name.rpartition("_")[0] or name for name in placed}
    trained = {
        speaker for name, speaker in speakers.items() if placed[name] == TRAIN and speaker in templates
    }
    styles = about.styles or tuple(sorted(trained))
    problems += [
        Problem(SPLITS_FILE, f"style '{style}' is no speaker of {template_file}.")
        for style in styles
        if style not in templates
    ]
    files = VertexFolder(
        root, templates, template_file, vertex_count, about.frame_step, about.units_per_metre, styles
    )

    def place(name: str) -> tuple[str, str] | None:
        return (placed[name], speakers[name]) if name in placed else None

    recordings, outside = recordings_of(files, place)
    mesh = mean_face(files, face)
    if max((*about.mid_lips, *about.lip_corners), default=0) >= vertex_count:
        text = f"mid_lips or lip_corners name a vertex beyond the {vertex_count} that there are."
        problems.append(Problem(SPLITS_FILE, text))
    mesh = dataclasses.replace(
        mesh,
        mid_lips=np.array(about.mid_lips, np.int32) if about.mid_lips else mesh.mid_lips,
        lip_corners=np.array(about.lip_corners, np.int32),
    )
    return vertex_survey(
        files, mesh, about.fps / about.frame_step, tuple(about.splits), recordings, outside,
        tuple(problems), about.up_axis,
    )  # fmt: skip


def read_folder(root: Path, split: str, face: FaceSources = NO_SOURCES, *, skip_bad: bool = False) -> Dataset:
    """One split of the folder, see :func:`training.datasets.recordings.read_split`.  Raises UserError."""
    return read_split(survey_folder(root, face), split, skip_bad=skip_bad)


# What VOCASET and BIWI share with it ------------------------------------------------------------


def open_templates(root: Path) -> tuple[dict[str, FloatArray], str]:
    """The speakers' templates and their file's name.  Raises DatasetProblems."""
    name = next((name for name in TEMPLATE_FILES if (root / name).is_file()), None)
    if name is None:
        raise DatasetProblems(root, [Problem(" or ".join(TEMPLATE_FILES), "there is no such file.")])
    try:
        return read_templates(root / name), name
    except UserError as error:
        raise DatasetProblems(root, [Problem(name, str(error))]) from error


def clip_names(root: Path) -> list[str]:
    """Names that have a motion file or a sound, sorted.  Raises DatasetProblems when a folder is missing."""
    missing = [folder for folder in (MOTION_FOLDER, SOUND_FOLDER) if not (root / folder).is_dir()]
    if missing:
        raise DatasetProblems(root, [Problem(f"{folder}/", "there is no such folder.") for folder in missing])
    names = {path.stem for path in (root / MOTION_FOLDER).glob("*.npy")}
    return sorted(names | sound_names(root / SOUND_FOLDER))


def sound_names(folder: Path) -> set[str]:
    """Names of the sounds in ``folder``."""
    return {path.stem for path in folder.iterdir() if path.suffix.lower() in SOUND_SUFFIXES}


def recordings_of(files: VertexFolder, place: Place) -> tuple[tuple[Recording, ...], tuple[str, ...]]:
    """The recordings that ``place`` puts into a split, and the names that it does not."""
    recordings, outside = [], []
    for name in clip_names(files.root):
        placed = place(name)
        if placed is None:
            outside.append(name)
            continue
        split, speaker = placed
        sound = sound_file(files.root / SOUND_FOLDER, name)
        recordings.append(
            Recording(
                name=name, speaker=speaker, style=style_row(files.styles, speaker), split=split,
                sound_file=f"{SOUND_FOLDER}/{sound.name}", motion_file=f"{MOTION_FOLDER}/{name}.npy",
                open_sound=partial(read_sound, sound),
                open_motion=partial(_motion, files, name, speaker),
            )
        )  # fmt: skip
    return tuple(recordings), tuple(outside)


def style_row(styles: Sequence[str], speaker: str) -> int:
    """The speaker's style row; 0 for a speaker who has none."""
    return styles.index(speaker) if speaker in styles else 0


def sound_file(folder: Path, name: str) -> Path:
    """The sound called ``name``, which need not exist."""
    paths = [folder / f"{name}{suffix}" for suffix in SOUND_SUFFIXES]
    return next((path for path in paths if path.is_file()), paths[0])


def read_sound(path: Path) -> Waveform:
    """16 kHz mono.  Raises UserError."""
    if not path.exists():
        raise UserError("the sound is missing.")
    return read_waveform(AudioSource(path))


def template_of(files: VertexFolder, speaker: str) -> FloatArray:
    """The speaker's template, in the files' units.  Raises UserError."""
    template = files.templates.get(speaker)
    if template is None:
        raise UserError(f"{files.template_file} has no template of '{speaker}'.")
    if len(template) != files.vertex_count:
        raise UserError(
            f"{files.template_file}: the template of '{speaker}' has {len(template)} vertices, "
            f"but {files.vertex_count} are wanted."
        )
    return template


def _motion(files: VertexFolder, name: str, speaker: str) -> VertexMotion:
    path = files.root / MOTION_FOLDER / f"{name}.npy"
    if not path.exists():
        raise UserError("the motion is missing.")
    template = template_of(files, speaker)
    count = len(map_positions(path, files.vertex_count))
    return VertexMotion(path, np.arange(0, count, files.frame_step), template, files.units_per_metre)


def mean_face(files: VertexFolder, sources: FaceSources) -> FaceMesh:
    """The mean of the style speakers' templates, metres, with what ``sources`` tell.

    Raises DatasetProblems when none of them has the right number of vertices, UserError for bad sources.
    """
    fitting = [
        files.templates[style]
        for style in files.styles
        if style in files.templates and len(files.templates[style]) == files.vertex_count
    ]
    if not fitting:
        counts = sorted({len(template) for template in files.templates.values()})
        text = (
            f"none of the speakers {', '.join(files.styles) or '(none)'} has a template of "
            f"{files.vertex_count} vertices (templates there have {', '.join(map(str, counts))})."
        )
        raise DatasetProblems(files.root, [Problem(files.template_file, text)])
    mean = np.mean(fitting, axis=0, dtype=np.float64) / files.units_per_metre
    template = Mesh(mean.astype(np.float32), np.zeros((0, 3), np.int32))
    regions = sources.regions or _region_folder(files.root)
    return face_of(
        template,
        read_mesh(sources.mesh) if sources.mesh else None,
        read_regions(regions, files.vertex_count) if regions else {},
    )


def _region_folder(root: Path) -> Path | None:
    wanted = (*TEXT_FILES, FLAME_FILE)
    folders = (root / REGION_FOLDER, root)
    return next((folder for folder in folders if any((folder / name).is_file() for name in wanted)), None)


def vertex_survey(
    files: VertexFolder,
    face: FaceMesh,
    fps: float,
    splits: tuple[str, ...],
    recordings: tuple[Recording, ...],
    outside: tuple[str, ...],
    problems: tuple[Problem, ...] = (),
    up_axis: str = "Y",
) -> Survey:
    """The survey of recorded vertices: no shapes."""
    return Survey(
        root=files.root, face=face, shape_names=(), deltas=np.zeros((0, files.vertex_count, 3), np.float32),
        styles=files.styles, fps=fps, splits=splits, recordings=recordings, outside=outside,
        problems=problems, units_per_metre=files.units_per_metre, up_axis=up_axis,
    )  # fmt: skip
