"""A model bundle: the three networks, the face they animate and the card that describes them.

Turns a folder (``config.json``, ``model.safetensors``, ``face.npz``) into networks and back.
``model_files.py`` reads what needs no torch; this file adds the weights.  Nothing is unpickled.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..contracts import FaceMesh
from ..errors import BundleError, OutputError
from ..model_files import (
    CONFIG_FILE,
    FACE_FILE,
    WEIGHTS_FILE,
    ModelCard,
    file_record,
    read_card,
    read_face,
    verify_file,
    write_face_file,
)
from .codebook import Codec, CodecConfig
from .query import CodeQuery, QueryConfig
from .speech import SpeechConfig, SpeechEncoder

Config = TypeVar("Config", CodecConfig, QueryConfig, SpeechConfig)


class Bundle(nn.Module):
    """The networks of one model, in evaluation mode, with their card and face."""

    def __init__(
        self, card: ModelCard, face: FaceMesh, codec: Codec, query: CodeQuery, speech: SpeechEncoder
    ) -> None:
        super().__init__()
        self.card, self.face = card, face
        self.codec, self.query, self.speech = codec, query, speech


def read_config(kind: type[Config], values: Mapping[str, Any], where: str) -> Config:
    """A config dataclass from plain values, strictly.  Raises BundleError.

    Every field must be there with its own type, and no other.
    """
    known = {item.name: item for item in dataclasses.fields(kind)}
    odd = [f"unknown field '{name}'" for name in values if name not in known]
    odd += [f"missing field '{name}'" for name in known if name not in values]
    if odd:
        raise BundleError(f"{where} does not fit {kind.__name__}: {', '.join(odd[:4])}.")
    for name, item in known.items():
        value = values[name]
        fits = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "int | None": value is None or (isinstance(value, int) and not isinstance(value, bool)),
            "float": isinstance(value, int | float) and not isinstance(value, bool),
            "bool": isinstance(value, bool),
            "str": isinstance(value, str),
        }[str(item.type)]
        if not fits:
            raise BundleError(f"{where}: field '{name}' must be {item.type}, not {value!r:.60}.")
    try:
        return kind(**values)
    except ValueError as error:
        raise BundleError(f"{where}: {error}.") from error


def _check_fit(
    card: ModelCard, face: FaceMesh, codec: CodecConfig, query: QueryConfig, speech: SpeechConfig
) -> None:
    """Refuse parts that do not fit each other, naming both numbers."""
    pairs = (
        ("vertices of face.npz", face.vertex_count, "codec.vertex_count", codec.vertex_count),
        ("query.motion_dim", query.motion_dim, "the codec's motion numbers", codec.motion_dim),
        ("query.components", query.components, "codec.components", codec.components),
        ("query.code_dim", query.code_dim, "codec.code_dim", codec.code_dim),
        ("query.code_count", query.code_count, "codec.code_count", codec.code_count),
        ("query.temporal_unit", query.temporal_unit, "codec.temporal_unit", codec.temporal_unit),
        ("query.speech_dim", query.speech_dim, "speech.hidden", speech.hidden),
        ("query.speech_frames", query.speech_frames, "speech.speech_frames", speech.speech_frames),
        ("query.styles", query.styles, "the style names", len(card.styles)),
        ("fps", card.fps, "speech.fps", speech.fps),
    )
    for left, a, right, b in pairs:
        if a != b:
            raise BundleError(
                f"The model '{card.name}' is inconsistent: {left} is {a:g} but {right} is {b:g}."
            )


def load_bundle(folder: Path) -> Bundle:
    """Load and verify a bundle; the networks come back on the CPU, float32, in evaluation mode.

    Raises BundleError in one sentence when a file is missing, cut short, changed or does not fit.
    """
    card = read_card(folder)
    face = read_face(folder, card)
    where = str(folder / CONFIG_FILE)
    codec = read_config(CodecConfig, card.codec, f"'{where}' codec")
    query = read_config(QueryConfig, card.query, f"'{where}' query")
    speech = read_config(SpeechConfig, card.speech, f"'{where}' speech")
    _check_fit(card, face, codec, query, speech)
    path = verify_file(folder, card, WEIGHTS_FILE)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"'{path}' cannot be read as safetensors: {error}.") from error
    try:
        bundle = Bundle(card, face, Codec(codec), CodeQuery(query), SpeechEncoder(speech))
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise BundleError(f"'{where}' describes networks that cannot be built: {error}.") from error
    load_strictly(bundle, {name: tensor.float() for name, tensor in tensors.items()}, str(path))
    return bundle.eval()


def misfits(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What keeps ``given`` from filling ``wanted``, the first few by name; "" when it fits."""
    problems = [f"'{name}' is missing" for name in wanted if name not in given]
    problems += [f"'{name}' is not expected" for name in given if name not in wanted]
    problems += [
        f"'{name}' has shape {tuple(given[name].shape)} where {tuple(tensor.shape)} is needed"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    problems += [
        f"'{name}' holds NaN or infinite numbers" for name, t in given.items() if not t.isfinite().all()
    ]
    more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
    return "; ".join(problems[:4]) + more


def load_strictly(network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Fill ``network`` from ``tensors``; missing, unexpected, misshaped or non-finite ones are named."""
    problems = misfits(network.state_dict(), tensors)
    if problems:
        raise BundleError(f"The weights in '{where}' do not fit the model: {problems}.")
    network.load_state_dict(dict(tensors))


def save_bundle(folder: Path, bundle: Bundle, *, half: bool = False) -> ModelCard:
    """The inverse of :func:`load_bundle`: write the three files, all or nothing.

    The card's ``files`` and three configs are taken from the networks; ``half`` stores the weights as
    float16 (the vertex basis and the codebook stay float32, they decide positions and codes).
    An existing bundle of that name is replaced.  Raises OutputError.
    """
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"The bundle '{folder}' cannot be written: {error.strerror}.") from error
    try:
        tensors = {}
        for name, tensor in bundle.state_dict().items():
            exact = not half or name.endswith(("vertex_basis", "codebook", "template"))
            tensors[name] = tensor.detach().cpu().to(torch.float32 if exact else torch.float16).contiguous()
        save_file(tensors, draft / WEIGHTS_FILE)
        write_face_file(draft / FACE_FILE, bundle.face)
        card = dataclasses.replace(
            bundle.card,
            codec=dataclasses.asdict(bundle.codec.config),
            query=dataclasses.asdict(bundle.query.config),
            speech=dataclasses.asdict(bundle.speech.config),
            files={name: file_record(draft / name) for name in (WEIGHTS_FILE, FACE_FILE)},
        )
        text = json.dumps(dataclasses.asdict(card), indent=1, ensure_ascii=False)
        (draft / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
        # mkdtemp and safetensors make them for their owner alone
        draft.chmod(0o755)
        (draft / WEIGHTS_FILE).chmod(0o644)
        _swap(draft, folder)
    except OSError as error:
        raise OutputError(f"The bundle '{folder}' cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return card


def check_bundle_place(folder: Path) -> None:
    """Refuse a place where a bundle may not be written; ask before long work.  Raises OutputError.

    Free places, empty folders and bundles (which would be replaced) are fine; a folder with anything
    else in it is somebody's work, even if a file in it is called ``config.json``.
    """
    try:
        if not folder.exists():
            return
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise OutputError(f"'{folder}' cannot be used for a bundle: {error.strerror or error}.") from error
    if not names:
        return
    others = sorted(names - {CONFIG_FILE, WEIGHTS_FILE, FACE_FILE})
    if others:
        raise OutputError(
            f"'{folder}' holds other things than a model bundle ('{others[0]}'); it is left as it is.",
            "Choose another folder.",
        )
    try:
        read_card(folder)
    except BundleError as error:
        raise OutputError(
            f"'{folder}' exists and is no model bundle; it is left as it is.", "Choose another folder."
        ) from error


def _swap(draft: Path, folder: Path) -> None:
    """Put ``draft`` in ``folder``'s place; an old bundle is removed only after the new one stands."""
    check_bundle_place(folder)
    if not folder.exists():
        draft.replace(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.replace(old / "bundle")
    try:
        draft.replace(folder)
    except BaseException:  # Ctrl-C too: the old bundle must stand again
        (old / "bundle").replace(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
