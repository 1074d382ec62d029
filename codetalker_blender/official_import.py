"""Official CodeTalker checkpoints and a template of their face → a model bundle on disk.

Used by the training package's command line and by the job's worker.  Importing this file is light;
torch is imported by the first run, and named when it is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .contracts import CancelCheck, ImportRequest, Progress, never_cancelled, no_progress
from .errors import Cancelled, UserError
from .face.meshes import read_mesh
from .face.regions import read_regions
from .face.templates import face_of, known_face, read_template
from .model_files import FORMAT_VERSION, ModelCard
from .street import explained

if TYPE_CHECKING:
    from .engine.bundle import Bundle
    from .engine.codebook import CodecConfig

#: What progress is reported for, one step each, in this order.
STAGES = ("template", "stage 1", "stage 2", "bundle")


def import_official(
    request: ImportRequest, progress: Progress = no_progress, cancelled: CancelCheck = never_cancelled
) -> str:
    """Read everything that the request names and write the bundle, all or nothing; -> one line about it.

    Stages reported: STAGES.  Raises UserError for what the user can cure, and Cancelled between two
    stages once ``cancelled()`` says so.
    """

    def begin(stage: str) -> None:
        if cancelled():
            raise Cancelled
        progress(stage, 0, 1)

    begin("template")
    with explained("cpu"):
        from .engine.bundle import Bundle, check_bundle_place, save_bundle  # noqa: PLC0415 - brings torch
        from .engine.official import OfficialOptions, is_biwi, load_stage1, load_stage2  # noqa: PLC0415

        options = OfficialOptions(
            codec_heads=request.codec_heads,
            query_heads=request.query_heads,
            speech_heads=request.speech_heads,
            fps=request.fps,
            period=request.period,
        )
        check_bundle_place(request.output)
        template = read_template(request.template, request.subject)
        count = len(template.vertices)
        mesh = read_mesh(request.mesh) if request.mesh else None
        face = face_of(template, mesh, read_regions(request.regions, count) if request.regions else {})
        progress("template", 1, 1)
        begin("stage 1")
        codec = load_stage1(request.stage1, options)
        if codec.config.vertex_count != count:
            raise UserError(
                f"The template '{request.template}' has {count} vertices but the checkpoint was trained on "
                f"{codec.config.vertex_count}.",
                "Give a template of the same face.",
            )
        progress("stage 1", 1, 1)
        begin("stage 2")
        query, speech = load_stage2(request.stage2, codec.config, options)
        progress("stage 2", 1, 1)
        begin("bundle")
        known = known_face(face.triangles, count)
        metres = request.metres_per_unit or (known.metres_per_unit if known else 1.0)
        card = ModelCard(
            format_version=FORMAT_VERSION,
            name=request.name or request.output.absolute().name,
            description=request.description,
            licence=request.licence,
            fps=speech.config.fps,
            units_per_metre=1.0 / metres,
            up_axis=request.up_axis,
            styles=_style_names(request.styles, query.config.styles, codec.config),
            temperature=0.0,
            codec={},
            query={},
            speech={},
            files={},
            notes={"flavour": "BIWI" if is_biwi(codec.config) else "VOCASET"},
        )
        bundle = Bundle(card, face, codec, query, speech)
        save_bundle(request.output, bundle)
    progress("bundle", 1, 1)
    return _summary(bundle, request)


def _style_names(asked: tuple[str, ...], rows: int, codec: CodecConfig) -> tuple[str, ...]:
    """Names of the style rows: those asked for, else the official ones, else style_0, style_1, ...

    Raises UserError when the names do not count as many as the rows, or repeat.
    """
    from .engine.official import BIWI_STYLES, VOCASET_STYLES, is_biwi  # noqa: PLC0415 - brings torch

    if not asked:
        official = BIWI_STYLES if is_biwi(codec) else VOCASET_STYLES
        return official if len(official) == rows else tuple(f"style_{row}" for row in range(rows))
    if len(asked) != rows or len(set(asked)) != rows or not all(asked):
        raise UserError(
            f"--styles gives {len(asked)} names ({', '.join(asked)}) but the checkpoint has {rows} styles.",
            "Give one name per style, each once, with commas between.",
        )
    return asked


def _summary(bundle: Bundle, request: ImportRequest) -> str:
    """One line about what was imported."""
    card, face = bundle.card, bundle.face
    if len(face.triangles):
        triangles = f"{len(face.triangles)} triangles"
    elif known_face(face.triangles, face.vertex_count):
        triangles = "no triangles (taken from the first recognised mesh)"
    else:
        triangles = "no triangles (give --mesh, or no mesh can be animated)"
    regions = [name for name, indices in face.regions.items() if len(indices)]
    return (
        f"The bundle is in {request.output}: {card.notes['flavour']} flavour, {face.vertex_count} vertices, "
        f"{triangles}, {1.0 / card.units_per_metre:g} m per unit, {len(card.styles)} styles, "
        f"{card.fps:g} fps, regions: {', '.join(regions) or 'none'}."
    )
