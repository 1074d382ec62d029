"""Every kind of small model: the three flavours, and what the config fields add to them."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import torch

from codetalker_blender.engine.bundle import Bundle, load_bundle, save_bundle
from codetalker_blender.engine.codebook import Codec, CodecConfig
from codetalker_blender.engine.query import CodeQuery, QueryConfig
from codetalker_blender.engine.speech import SpeechConfig, SpeechEncoder
from tests.engine.tiny import FLAVOURS, grid_face, tiny_bundle, tiny_configs, tiny_networks

Configs = tuple[CodecConfig, QueryConfig, SpeechConfig]
Networks = tuple[Codec, CodeQuery, SpeechEncoder]

Changes = dict[str, object]

#: name -> flavour it starts from, changes to the codec's config, to the query's, to the speech encoder's
CHANGES: dict[str, tuple[str, Changes, Changes, Changes]] = {
    **{flavour: (flavour, {}, {}, {}) for flavour in FLAVOURS},
    "pairs": ("vocaset", {"temporal_unit": 2}, {"temporal_unit": 2}, {}),
    "biwi pairs": ("biwi", {"temporal_unit": 2}, {"temporal_unit": 2}, {}),
    "streamable pairs": ("streamable", {"temporal_unit": 2}, {"temporal_unit": 2}, {}),
    "some classes": ("streamable", {}, {"categorical": 1}, {}),
    "all classes": ("vocaset", {}, {"categorical": 4}, {}),
    "shapes": ("vocaset", {"shape_input": True}, {}, {}),
    "shapes on a basis": ("vocaset", {"shape_input": True, "basis_rank": 10}, {"motion_dim": 10}, {}),
    "basis": ("vocaset", {"basis_rank": 10}, {"motion_dim": 10}, {}),
    "short memory": ("vocaset", {}, {"look_back": 3}, {}),
    "endless causal": ("streamable", {"look_back": None}, {"look_back": None}, {}),
    "log mel": ("streamable", {}, {}, {"front_end": "log_mel"}),
}
VARIANTS = tuple(CHANGES)
CAUSAL = tuple(name for name, (flavour, *_) in CHANGES.items() if flavour == "streamable")


def variant_configs(name: str) -> Configs:
    flavour, codec_changes, query_changes, speech_changes = CHANGES[name]
    codec, query, speech = tiny_configs(flavour, grid_face().vertex_count)
    codec = dataclasses.replace(codec, **codec_changes)  # type: ignore[arg-type]
    query = dataclasses.replace(query, **query_changes)  # type: ignore[arg-type]
    return codec, query, dataclasses.replace(speech, **speech_changes)  # type: ignore[arg-type]


@functools.cache
def variant_networks(name: str) -> Networks:
    """Made once: for tests that leave the weights as they are."""
    networks = tiny_networks(*variant_configs(name))
    if networks[0].config.shape_input:
        networks[0].template.copy_(torch.from_numpy(grid_face().vertices).flatten())
    return networks


def variant_bundle(folder: Path, name: str) -> Bundle:
    """The variant as a bundle that went through the disk."""
    tiny_bundle(folder, CHANGES[name][0])
    old = load_bundle(folder)
    save_bundle(folder, Bundle(old.card, old.face, *variant_networks(name)))
    return load_bundle(folder)
