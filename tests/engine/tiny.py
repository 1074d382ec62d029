"""Small real bundles with random weights, for tests that need a model but not a good one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from codetalker_blender.contracts import REGION_NAMES, FaceMesh
from codetalker_blender.engine.bundle import Bundle, save_bundle
from codetalker_blender.engine.codebook import Codec, CodecConfig
from codetalker_blender.engine.query import CodeQuery, QueryConfig
from codetalker_blender.engine.speech import SpeechConfig, SpeechEncoder
from codetalker_blender.model_files import FORMAT_VERSION, ModelCard

STYLES = ("neutral", "lively", "calm")
FLAVOURS = ("vocaset", "biwi", "streamable")


def grid_face(columns: int = 7, rows: int = 6) -> FaceMesh:
    """A bent sheet of quads as triangles, about 0.2 m, with lips and corners named."""
    x, z = np.meshgrid(np.linspace(-0.1, 0.1, columns), np.linspace(-0.13, 0.13, rows))
    y = 3.0 * x**2 + 0.4 * z * x
    vertices = np.stack((x, y, z), axis=-1).reshape(-1, 3).astype(np.float32)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    triangles = np.concatenate((np.stack((a, b, c), 1), np.stack((a, c, d), 1))).astype(np.int32)
    empty = np.zeros(0, np.int32)
    regions = dict.fromkeys(REGION_NAMES, empty)
    regions["lips"] = index[2:4, 2:5].ravel().astype(np.int32)
    regions["upper_face"] = index[-1].astype(np.int32)
    middle = columns // 2
    return FaceMesh(
        vertices=vertices,
        triangles=triangles,
        mid_lips=np.array([index[3, middle], index[2, middle]], np.int32),
        lip_corners=np.array([index[2, 4], index[2, 2]], np.int32),
        regions=regions,
    )


def tiny_configs(flavour: str, vertices: int) -> tuple[CodecConfig, QueryConfig, SpeechConfig]:
    """The three configs of a small model of one flavour (see FLAVOURS)."""
    streamable, biwi = flavour == "streamable", flavour == "biwi"
    fps = 25.0 if biwi else 30.0
    codec = CodecConfig(
        vertex_count=vertices,
        hidden=32,
        layers=2,
        heads=4,
        mlp=48,
        code_count=32,
        components=4,
        code_dim=8,
        causal=streamable,
        look_back=12 if streamable else None,
        time_norm=not streamable,
        constant_position=not streamable,
        code_projection=biwi,
        output_bias=not biwi,
        basis_rank=16 if streamable else 0,
    )
    query = QueryConfig(
        motion_dim=codec.motion_dim,
        speech_dim=32,
        hidden=32,
        layers=2,
        heads=4,
        mlp=48,
        components=4,
        code_dim=8,
        code_count=32,
        styles=len(STYLES),
        period=int(fps),
        look_back=15 if streamable else None,
        speech_frames=2 if biwi else 1,
        bias_free_start=not streamable,
    )
    speech = SpeechConfig(
        conv_dim=16,
        feature_norm="layer" if streamable else "group",
        hidden=32,
        layers=2,
        heads=4,
        mlp=48,
        position_kernel=16,
        position_groups=4,
        fps=fps,
        speech_frames=2 if biwi else 1,
        level="fixed" if streamable else "utterance",
        chunk_s=1.0 if streamable else 0.0,
        context_s=0.4 if streamable else 0.0,
    )
    return codec, query, speech


def tiny_networks(
    codec: CodecConfig, query: QueryConfig, speech: SpeechConfig, seed: int = 0
) -> tuple[Codec, CodeQuery, SpeechEncoder]:
    """The three networks with seeded weights that give varied codes."""
    torch.manual_seed(seed)
    networks = Codec(codec), CodeQuery(query), SpeechEncoder(speech)
    with torch.no_grad():
        networks[0].quantiser.codebook.normal_()
        if query.feature_dim:
            networks[1].feature_map.weight.normal_(std=query.hidden**-0.5)
        networks[0].decoder.output.weight.mul_(0.02)
        if codec.basis_rank:
            basis = torch.linalg.qr(torch.randn(3 * codec.vertex_count, codec.basis_rank))[0]
            networks[0].vertex_basis.copy_(basis.t())
    for network in networks:
        network.eval()
    return networks


def tiny_bundle(
    folder: Path,
    flavour: str = "streamable",
    face: FaceMesh | None = None,
    *,
    seed: int = 0,
    name: str = "tiny",
    units_per_metre: float = 1.0,
    up_axis: str = "Z",
) -> Path:
    """Write a small bundle of one flavour into ``folder`` and return it.

    Its face is ``face`` or a bent sheet of 42 vertices; offsets are a few millimetres.
    """
    face = face or grid_face()
    codec, query, speech = tiny_configs(flavour, face.vertex_count)
    networks = tiny_networks(codec, query, speech, seed)
    card = ModelCard(
        format_version=FORMAT_VERSION,
        name=name,
        description=f"random weights, {flavour} flavour, for tests",
        licence="CC0-1.0",
        fps=speech.fps,
        units_per_metre=units_per_metre,
        up_axis=up_axis,
        styles=STYLES,
        temperature=0.0,
        codec={},
        query={},
        speech={},
        files={},
    )
    save_bundle(folder, Bundle(card, face, *networks))
    return folder
