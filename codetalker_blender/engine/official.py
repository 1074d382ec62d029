"""Official CodeTalker checkpoints → the networks of this package.

Turns the two released ``.pth.tar`` files (``{'state_dict': ...}``) of either flavour into a codec,
a code query and a speech encoder.  Sizes are read off the tensors' shapes; what shapes cannot
tell is in ``OfficialOptions``.  ``torch.load(weights_only=True)`` alone: nothing is executed.
"""

from __future__ import annotations

import math
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import BundleError
from .bundle import misfits
from .codebook import Codec, CodecConfig
from .query import CodeQuery, QueryConfig
from .speech import SpeechConfig, SpeechEncoder

State = Mapping[str, Tensor]

#: Speaking styles by row, as the released models were trained.
BIWI_STYLES = ("F2", "F3", "F4", "M3", "M4", "M5")
VOCASET_STYLES = (
    "FaceTalk_170728_03272_TA",
    "FaceTalk_170904_00128_TA",
    "FaceTalk_170725_00137_TA",
    "FaceTalk_170915_00223_TA",
    "FaceTalk_170811_03274_TA",
    "FaceTalk_170913_03279_TA",
    "FaceTalk_170904_03276_TA",
    "FaceTalk_170912_03278_TA",
)

# our module -> the checkpoint's; codec_names and query_names add what depends on sizes
_CODEC_MODULES = {
    "encoder.input": "encoder.vertice_mapping.0",
    "encoder.trunk.conv.conv": "encoder.squasher.0.0",
    "encoder.trunk.linear": "encoder.encoder_linear_embedding.net",
    "encoder.code_projection": "encoder.encoder_linear_embedding_post.net",
    "decoder.code_projection": "decoder.decoder_linear_embedding_pre.net",
    "decoder.trunk.conv.conv": "decoder.expander.0.0",
    "decoder.trunk.linear": "decoder.decoder_linear_embedding.net",
    "decoder.output": "decoder.vertice_map_reverse",
}
_ATTENTION_PARTS = {"attention_norm": "norm", "attention.qkv": "fn.to_qkv", "attention.output": "fn.to_out"}
_MLP_PARTS = {"mlp_norm": "norm", "mlp_in": "fn.l1", "mlp_out": "fn.l2"}
_QUERY_MODULES = {
    "speech_map": "audio_feature_map",
    "motion_map": "vertice_map",
    "feature_map": "feat_map",
}
_LAYER_PARTS = {
    "self_attention.output": "self_attn.out_proj",
    "cross_attention.output": "multihead_attn.out_proj",
    "mlp_in": "linear1",
    "mlp_out": "linear2",
    "norms.0": "norm1",
    "norms.1": "norm2",
    "norms.2": "norm3",
}
_PACKED = {"self_attention.qkv": "self_attn.in_proj_", "cross_attention.qkv": "multihead_attn.in_proj_"}
_POSITION_CONV = "audio_encoder.encoder.pos_conv_embed.conv."
# the released files come from before torch's parametrised weight norm; either naming is read
_NEWER_NAMES = {
    f"{_POSITION_CONV}parametrizations.weight.original0": f"{_POSITION_CONV}weight_g",
    f"{_POSITION_CONV}parametrizations.weight.original1": f"{_POSITION_CONV}weight_v",
}
# computed here, so the tables that the checkpoints carry are not needed
_TABLES = re.compile(r"(^|\.)(encoder_pos_embedding|decoder_pos_embedding|PPE)\.pe$")
_PERIOD_TABLE = "PPE.pe"
# what torch.load raises on files that are cut short, damaged or something else altogether
_UNREADABLE = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class OfficialOptions:
    """What the tensors' shapes cannot tell; the defaults are the released models' values.

    fps, period: None takes the flavour's own (BIWI 25, VOCASET 30)
    """

    codec_heads: int = 8
    query_heads: int = 4
    speech_heads: int = 12
    fps: float | None = None
    period: int | None = None

    def __post_init__(self) -> None:
        for name in ("codec_heads", "query_heads", "speech_heads", "fps", "period"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise BundleError(f"--{name.replace('_', '-')} must be positive, not {value:g}.")


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict of a ``.pth.tar``, without executing anything in it.  Raises BundleError."""
    if not path.is_file():
        raise BundleError(
            f"There is no checkpoint file '{path}'.", "Give the path of the downloaded .pth.tar file."
        )
    try:
        with warnings.catch_warnings():
            # odd files make torch warn before it refuses them; one sentence is enough
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BundleError(
            f"'{path}' is not a plain checkpoint of tensors and was refused without running anything in it.",
            "Use the file that CodeTalker's authors released.",
        ) from error
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BundleError(f"'{path}' cannot be read as a torch checkpoint: {reason.rstrip('.')}.") from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise BundleError(
            f"'{path}' holds no 'state_dict' of tensors.", "Use CodeTalker's stage-1 or stage-2 file."
        )
    return {str(name): tensor.float() for name, tensor in state.items()}


def codec_names(config: CodecConfig) -> dict[str, str]:
    """Tensor of :class:`Codec` -> its name in a stage-1 checkpoint."""
    modules = dict(_CODEC_MODULES)
    for side in ("encoder", "decoder"):
        for index in range(config.layers):
            # the original interleaves attention (even) and MLP (odd) in one list
            for place, parts in ((2 * index, _ATTENTION_PARTS), (2 * index + 1, _MLP_PARTS)):
                block, layer = f"{side}.trunk.blocks.{index}.", f"{side}.{side}_transformer.net.{place}.fn."
                modules |= {block + ours: layer + theirs for ours, theirs in parts.items()}
    with torch.device("meta"):
        network = Codec(config)
    return _tensor_names(network, modules) | {"quantiser.codebook": "quantize.embedding.weight"}


def query_names(config: QueryConfig) -> dict[str, str]:
    """Tensor of :class:`CodeQuery` -> its name in a stage-2 checkpoint."""
    modules = dict(_QUERY_MODULES)
    packed: dict[str, str] = {}
    for index in range(config.layers):
        ours, theirs = f"layers.{index}.", f"transformer_decoder.layers.{index}."
        modules |= {ours + a: theirs + b for a, b in _LAYER_PARTS.items()}
        for kind in ("weight", "bias"):
            packed |= {f"{ours}{a}.{kind}": theirs + b + kind for a, b in _PACKED.items()}
    with torch.device("meta"):
        network = CodeQuery(config)
    return _tensor_names(network, modules) | packed | {"style_embedding": "learnable_style_emb.weight"}


def speech_names(network: SpeechEncoder) -> dict[str, str]:
    """Tensor of :class:`SpeechEncoder` -> its name in a stage-2 checkpoint (the released naming)."""
    names = {ours: "audio_encoder." + ours.removeprefix("network.") for ours in network.state_dict()}
    return {ours: _NEWER_NAMES.get(theirs, theirs) for ours, theirs in names.items()}


def _tensor_names(network: nn.Module, modules: Mapping[str, str]) -> dict[str, str]:
    """Module names spread over the weights and biases that ``network`` has."""
    names = {}
    for ours in network.state_dict():
        module, _, kind = ours.rpartition(".")
        if module in modules:
            names[ours] = f"{modules[module]}.{kind}"
    return names


def load_named(network: nn.Module, state: State, names: Mapping[str, str], where: Path) -> None:
    """Fill ``network`` from a checkpoint; problems are told in the checkpoint's own names.

    names: tensor of ``network`` -> name in ``state``; nothing may be missing or left over.
    Raises BundleError.
    """
    wanted = {names[ours]: tensor for ours, tensor in network.state_dict().items()}
    problems = misfits(wanted, state)
    if problems:
        raise BundleError(f"'{where}' does not fit the model: {problems}.")
    network.load_state_dict({ours: state[theirs] for ours, theirs in names.items()})


def _size(state: State, name: str, dimensions: int, where: Path) -> torch.Size:
    if name not in state:
        raise BundleError(f"'{where}' does not fit the model: '{name}' is missing.")
    if state[name].ndim != dimensions or not state[name].numel():
        raise BundleError(
            f"'{where}' does not fit the model: '{name}' has shape {tuple(state[name].shape)} "
            f"where {dimensions} dimensions are needed."
        )
    return state[name].shape


def _count(state: State, pattern: str) -> int:
    return len({found.group(1) for name in state if (found := re.match(pattern, name))})


def _check_stage(state: State, stage: int, where: Path) -> None:
    """Refuse the files of the two stages in each other's place."""
    found = {
        1: any(name.startswith(("quantize.", "encoder.")) for name in state),
        2: any(name.startswith(("audio_encoder.", "transformer_decoder.")) for name in state),
    }
    if not found[stage] and found[3 - stage]:
        raise BundleError(
            f"'{where}' was given as stage {stage} but is a stage-{3 - stage} checkpoint.",
            "Give the codebook's file as stage 1 and the speech-driven one as stage 2.",
        )


def codec_config(state: State, options: OfficialOptions, where: Path) -> CodecConfig:
    """The codec's config from the shapes of a stage-1 state dict.  Raises BundleError."""
    hidden, motion_dim = _size(state, "encoder.vertice_mapping.0.weight", 2, where)
    codes, code_dim = _size(state, "quantize.embedding.weight", 2, where)
    # only the BIWI flavour has a Linear between hidden and codes
    projection = "encoder.encoder_linear_embedding_post.net.weight"
    latent = _size(state, projection, 2, where)[0] if projection in state else hidden
    if motion_dim % 3 or latent % code_dim:
        raise BundleError(
            f"'{where}' does not fit the model: {motion_dim} motion numbers must be a multiple of 3 "
            f"and {latent} latent numbers one of the code's {code_dim}."
        )
    try:
        return CodecConfig(
            vertex_count=motion_dim // 3,
            hidden=hidden,
            layers=_count(state, r"encoder\.encoder_transformer\.net\.(\d+)\.") // 2,
            heads=options.codec_heads,
            mlp=_size(state, "encoder.encoder_transformer.net.1.fn.fn.l1.weight", 2, where)[0],
            code_count=codes,
            components=latent // code_dim,
            code_dim=code_dim,
            kernel=_size(state, "encoder.squasher.0.0.weight", 3, where)[2],
            code_projection=projection in state,
            output_bias="decoder.vertice_map_reverse.bias" in state,
        )
    except ValueError as error:
        raise BundleError(f"'{where}' does not fit the model: {error}.", "Check --codec-heads.") from error


def is_biwi(codec: CodecConfig) -> bool:
    """Whether stage 1 is of the BIWI flavour (two speech frames per motion frame), else VOCASET's."""
    return codec.code_projection


def load_stage1(path: Path, options: OfficialOptions = OfficialOptions()) -> Codec:
    """Stage 1 of either flavour, in evaluation mode.  Raises BundleError."""
    state = read_checkpoint(path)
    _check_stage(state, 1, path)
    state = {name: tensor for name, tensor in state.items() if not _TABLES.search(name)}
    codec = Codec(codec_config(state, options, path))
    load_named(codec, state, codec_names(codec.config), path)
    return codec.eval()


def load_stage2(
    path: Path, codec: CodecConfig, options: OfficialOptions = OfficialOptions()
) -> tuple[CodeQuery, SpeechEncoder]:
    """Stage 2 of the codec's flavour, with its fine-tuned speech encoder, in evaluation mode.

    Raises BundleError.
    """
    state = read_checkpoint(path)
    _check_stage(state, 2, path)
    period = _period(state, codec, options, path)
    # a file saved by the original's own training may carry stage 1 along
    state = {
        _NEWER_NAMES.get(name, name): tensor
        for name, tensor in state.items()
        if not name.startswith("autoencoder.") and not _TABLES.search(name)
    }
    query_config, speech_config = _stage2_configs(state, codec, options, period, path)
    query, speech = CodeQuery(query_config), SpeechEncoder(speech_config)
    names = {f"query.{ours}": theirs for ours, theirs in query_names(query_config).items()}
    names |= {f"speech.{ours}": theirs for ours, theirs in speech_names(speech).items()}
    load_named(nn.ModuleDict({"query": query, "speech": speech}), state, names, path)
    return query.eval(), speech.eval()


def _period(state: State, codec: CodecConfig, options: OfficialOptions, where: Path) -> int:
    """The period of the position code; refuses a stage 2 whose table belongs to the other flavour."""
    usual = 25 if is_biwi(codec) else 30
    table = state.get(_PERIOD_TABLE)
    if options.period is not None or table is None or table.ndim != 3 or table.shape[1] < 2:
        return options.period or usual
    # the table repeats itself after one period
    again = (table[0, 1:] == table[0, 0]).all(dim=-1).nonzero().flatten()
    found = int(again[0]) + 1 if len(again) else table.shape[1]
    if found != usual:
        flavour = "BIWI" if is_biwi(codec) else "VOCASET"
        raise BundleError(
            f"Stage 1 is of the {flavour} flavour, period {usual}, but stage 2 in '{where}' has {found}.",
            f"Give the two stages of the same model, or --period {found} if they were trained so.",
        )
    return found


def _stage2_configs(
    state: State, codec: CodecConfig, options: OfficialOptions, period: int, where: Path
) -> tuple[QueryConfig, SpeechConfig]:
    styles, hidden = _size(state, "learnable_style_emb.weight", 2, where)
    motion_dim = _size(state, "vertice_map.weight", 2, where)[1]
    if motion_dim != codec.motion_dim:
        raise BundleError(
            f"Stage 2 in '{where}' has {motion_dim / 3:g} vertices but stage 1 has {codec.vertex_count}.",
            "Give the two stages of the same model.",
        )
    position = _size(state, _POSITION_CONV + "weight_v", 3, where)
    speech_frames = 2 if is_biwi(codec) else 1
    try:
        query = QueryConfig(
            motion_dim=motion_dim,
            speech_dim=_size(state, "audio_feature_map.weight", 2, where)[1],
            hidden=hidden,
            layers=_count(state, r"transformer_decoder\.layers\.(\d+)\."),
            heads=options.query_heads,
            mlp=_size(state, "transformer_decoder.layers.0.linear1.weight", 2, where)[0],
            components=codec.components,
            code_dim=codec.code_dim,
            code_count=codec.code_count,
            styles=styles,
            period=period,
            speech_frames=speech_frames,
        )
        speech_hidden = _size(state, "audio_encoder.feature_projection.projection.weight", 2, where)[0]
        if speech_hidden % options.speech_heads:
            raise ValueError(f"hidden ({speech_hidden}) must be a multiple of heads ({options.speech_heads})")
        speech = SpeechConfig(
            conv_dim=_size(state, "audio_encoder.feature_extractor.conv_layers.0.conv.weight", 3, where)[0],
            hidden=speech_hidden,
            layers=_count(state, r"audio_encoder\.encoder\.layers\.(\d+)\."),
            heads=options.speech_heads,
            mlp=_size(
                state, "audio_encoder.encoder.layers.0.feed_forward.intermediate_dense.weight", 2, where
            )[0],
            position_kernel=position[2],
            position_groups=position[0] // position[1],
            fps=options.fps or (25.0 if is_biwi(codec) else 30.0),
            speech_frames=speech_frames,
        )
    except ValueError as error:
        raise BundleError(
            f"'{where}' does not fit the model: {error}.", "Check --query-heads, --speech-heads and --fps."
        ) from error
    return query, speech
