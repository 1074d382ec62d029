"""Official CodeTalker checkpoints → a model bundle.

``python -m training.import_official --stage1 F --stage2 F --template FILE --output DIR`` takes the two
released ``.pth.tar`` files of either flavour and a template of the face they were trained on.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from codetalker_blender.contracts import REGION_NAMES, FaceMesh, IntArray
from codetalker_blender.engine.bundle import Bundle, save_bundle
from codetalker_blender.engine.codebook import CodecConfig
from codetalker_blender.engine.official import (
    BIWI_STYLES,
    VOCASET_STYLES,
    OfficialOptions,
    is_biwi,
    load_stage1,
    load_stage2,
)
from codetalker_blender.errors import UserError
from codetalker_blender.face import topology
from codetalker_blender.face.topology import KnownTopology
from codetalker_blender.model_files import FORMAT_VERSION, ModelCard

from .meshes import Mesh, read_mesh
from .regions import read_regions
from .templates import read_template


def face_of(template: Mesh, mesh: Mesh | None, regions: Mapping[str, IntArray]) -> FaceMesh:
    """The bundle's face: template positions, the mesh's triangles (else the template's own) and regions.

    What the known topologies tell (:func:`known_face`) stands in for the mid-lip vertices.  Raises UserError.
    """
    count = len(template.vertices)
    if mesh is not None and len(mesh.vertices) != count:
        raise UserError(
            f"The mesh has {len(mesh.vertices)} vertices but the template has {count}.",
            "Give the mesh of the same face.",
        )
    if mesh is not None and not len(mesh.triangles):
        raise UserError(
            "The mesh has no faces, so it gives no triangles.", "Give a mesh with faces, or none."
        )
    triangles = template.triangles if mesh is None else mesh.triangles
    known = known_face(triangles, count)
    empty = np.zeros(0, np.int32)
    return FaceMesh(
        vertices=template.vertices,
        triangles=triangles,
        mid_lips=np.array(known.mid_lips if known else (), np.int32),
        lip_corners=empty,
        regions={name: regions.get(name, empty) for name in REGION_NAMES},
    )


def known_face(triangles: IntArray, vertex_count: int) -> KnownTopology | None:
    """The published topology that a face is, if any: the one rule for its scale and its mid-lip vertices.

    Triangles decide where there are any, in either winding, as for the mesh to be animated
    (``topology.compare``).  Without them the bundle takes those of the first recognised mesh, so the
    count decides.
    """
    if len(triangles):
        return topology.recognise(triangles) or topology.recognise(triangles[:, ::-1])
    return next((known for known in topology.KNOWN_TOPOLOGIES if known.vertex_count == vertex_count), None)


def style_names(asked: str | None, rows: int, codec: CodecConfig) -> tuple[str, ...]:
    """Names of the style rows: those asked for, else the official ones, else style_0, style_1, ...

    Raises UserError when the names do not count as many as the rows, or repeat.
    """
    if asked is None:
        official = BIWI_STYLES if is_biwi(codec) else VOCASET_STYLES
        return official if len(official) == rows else tuple(f"style_{row}" for row in range(rows))
    names = tuple(name.strip() for name in asked.split(","))
    if len(names) != rows or len(set(names)) != rows or not all(names):
        raise UserError(
            f"--styles gives {len(names)} names ({', '.join(names)}) but the checkpoint has {rows} styles.",
            "Give one name per style, each once, with commas between.",
        )
    return names


def import_official(arguments: argparse.Namespace) -> Bundle:
    """Read everything that the command line names.  Writes nothing.  Raises UserError."""
    options = OfficialOptions(
        codec_heads=arguments.codec_heads,
        query_heads=arguments.query_heads,
        speech_heads=arguments.speech_heads,
        fps=arguments.fps,
        period=arguments.period,
    )
    template = read_template(arguments.template, arguments.subject)
    count = len(template.vertices)
    mesh = read_mesh(arguments.mesh) if arguments.mesh else None
    face = face_of(template, mesh, read_regions(arguments.regions, count) if arguments.regions else {})
    codec = load_stage1(arguments.stage1, options)
    if codec.config.vertex_count != count:
        raise UserError(
            f"The template '{arguments.template}' has {count} vertices but the checkpoint was trained on "
            f"{codec.config.vertex_count}.",
            "Give a template of the same face.",
        )
    query, speech = load_stage2(arguments.stage2, codec.config, options)
    known = known_face(face.triangles, count)
    metres = arguments.metres_per_unit or (known.metres_per_unit if known else 1.0)
    card = ModelCard(
        format_version=FORMAT_VERSION,
        name=arguments.name or arguments.output.absolute().name,
        description=arguments.description,
        licence=arguments.licence,
        fps=speech.config.fps,
        units_per_metre=1.0 / metres,
        up_axis=arguments.up_axis,
        styles=style_names(arguments.styles, query.config.styles, codec.config),
        temperature=0.0,
        codec={},
        query={},
        speech={},
        files={},
        notes={"flavour": "BIWI" if is_biwi(codec.config) else "VOCASET"},
    )
    return Bundle(card, face, codec, query, speech).eval()


def summary(bundle: Bundle, folder: Path) -> str:
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
        f"The bundle is in {folder}: {card.notes['flavour']} flavour, {face.vertex_count} vertices, "
        f"{triangles}, {1.0 / card.units_per_metre:g} m per unit, {len(card.styles)} styles, "
        f"{card.fps:g} fps, regions: {', '.join(regions) or 'none'}."
    )


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return value


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse prints the usage, too."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}.", f"Try '{self.prog} --help'.")


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    result = _Parser(
        prog="python -m training.import_official",
        description="Official CodeTalker checkpoints → a model bundle.",
    )
    need, option = result.add_argument_group("needed"), result.add_argument
    need.add_argument("--stage1", type=Path, required=True, metavar="FILE", help="the codebook's .pth.tar")
    need.add_argument("--stage2", type=Path, required=True, metavar="FILE", help="the speech-driven .pth.tar")
    need.add_argument(
        "--template", type=Path, required=True, metavar="FILE", help=".ply, .obj, .npy, .npz or templates.pkl"
    )
    need.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the bundle")
    option("--subject", metavar="NAME", help="whose template to take out of templates.pkl")
    option("--mesh", type=Path, metavar="FILE", help=".ply or .obj with the face's polygons")
    option("--regions", type=Path, metavar="DIR", help="folder of lve.txt, fdd.txt or FLAME_masks.pkl")
    option("--metres-per-unit", type=_positive, metavar="X", help="metres (default: BIWI 0.187, else 1)")
    option("--up-axis", choices=("X", "Y", "Z"), default="Y", help="the template's up (default Y)")
    option("--name", help="name of the model (default: the folder's)")
    option("--description", default="imported official CodeTalker checkpoint")
    option("--licence", default="not stated; see where the checkpoint came from")
    option("--codec-heads", type=int, default=OfficialOptions.codec_heads, metavar="N")
    option("--query-heads", type=int, default=OfficialOptions.query_heads, metavar="N")
    option("--speech-heads", type=int, default=OfficialOptions.speech_heads, metavar="N")
    option("--fps", type=_positive, default=None, help="frames per second (default by flavour: 25 or 30)")
    option(
        "--period", type=int, default=None, help="steps of the position code (default by flavour: 25 or 30)"
    )
    option("--styles", metavar="NAME,...", help="names of the style rows (default: the official ones)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; else nothing is written, one line is on stderr, and it is 2, or 130 after Ctrl-C."""
    try:
        options = parser().parse_args(arguments)
        bundle = import_official(options)
        save_bundle(options.output, bundle)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return 130
    print(summary(bundle, options.output))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
