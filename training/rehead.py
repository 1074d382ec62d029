"""A bundle for another head: the same shape weights, moved over without training.

    python -m training.rehead --model DIR --from-head DIR --to-head DIR --output DIR

A model that learnt on a head with named shapes moves nothing but mixtures of them, so any head with shapes
of the same names can take its place: its vertices, their number and its topology are free.  Codes stay
what they were; only the vertex basis and the three Linear layers beside it change.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from codetalker_blender.contracts import FloatArray
from codetalker_blender.engine.bundle import Bundle, check_bundle_place, load_bundle, save_bundle
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.errors import UserError

from .articulation_head import Head, read_head

#: What a mixture of the old head's shapes may be off the model's basis.
_TOLERANCE_MM = 0.2


def rehead(bundle: Bundle, old: Head, new: Head) -> Bundle:
    """``bundle``, which moves ``old``, on ``new``.

    Raises UserError when the heads' shapes differ or the model does not move ``old`` by its shapes.
    """
    if old.shape_names != new.shape_names:
        odd = sorted(set(old.shape_names) ^ set(new.shape_names))
        named = f" ({', '.join(odd[:4])})" if odd else " in order"
        raise UserError(f"The two heads' shapes differ{named}.", "Both need the same shapes by name.")
    rows, mixing = _moved_rows(bundle.codec, old, new)
    codec = Codec(dataclasses.replace(bundle.codec.config, vertex_count=new.face.vertex_count))
    codec.load_state_dict(bundle.codec.state_dict() | {"vertex_basis": torch.from_numpy(rows)})
    forth = torch.from_numpy(mixing)
    back = torch.linalg.inv(forth.double()).float()
    with torch.no_grad():
        output = codec.decoder.output
        output.weight.copy_(forth.t() @ output.weight)
        if output.bias is not None:
            output.bias.copy_(output.bias @ forth)
        for layer in (codec.encoder.input, bundle.query.motion_map):
            _read_through(layer, back)
    return Bundle(bundle.card, new.face, codec, bundle.query, bundle.speech).eval()


def _read_through(layer: nn.Linear, back: Tensor) -> None:
    """The layer then reads new coefficients as it read the old ones: old = new @ back."""
    layer.weight.copy_(layer.weight @ back.t())


def _moved_rows(codec: Codec, old: Head, new: Head) -> tuple[FloatArray, FloatArray]:
    """Orthonormal rows (R, 3V) of the new head, and the (R, R) matrix: new coefficients = old @ matrix."""
    if not codec.config.basis_rank:
        raise UserError("This model moves vertices, not shapes.", "Only models with a vertex basis can move.")
    basis = codec.vertex_basis.double().numpy()
    flat = old.deltas.reshape(len(old.deltas), -1).astype(np.float64)
    if flat.shape[1] != basis.shape[1]:
        raise UserError(
            f"The model moves {basis.shape[1] // 3} vertices where the old head has {old.face.vertex_count}.",
            "Give the head that the model learnt on.",
        )
    from_weights = flat @ basis.T
    off = (flat - from_weights @ basis).reshape(len(flat), -1, 3)
    worst_mm = float(np.linalg.norm(off, axis=-1).max() * 1e3)
    if worst_mm > _TOLERANCE_MM or np.linalg.matrix_rank(from_weights) < len(basis):
        raise UserError(
            f"The model's motion is not made of the old head's shapes (off by up to {worst_mm:.2f} mm).",
            "Give the head that the model learnt on.",
        )
    moved = np.linalg.pinv(from_weights) @ new.deltas.reshape(len(new.deltas), -1).astype(np.float64)
    columns, mixing = np.linalg.qr(moved.T)
    return columns.T.astype(np.float32), mixing.T.astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 2 for what the user can cure."""
    parser = argparse.ArgumentParser(
        prog="python -m training.rehead", description="A bundle on another head."
    )
    for name, text in (
        ("--model", "the bundle"),
        ("--from-head", "face.npz and shapes.npz that it learnt on"),
        ("--to-head", "those of the other head"),
        ("--output", "folder of the bundle to write"),
    ):
        parser.add_argument(name, type=Path, required=True, metavar="DIR", help=text)
    options = parser.parse_args(arguments)
    try:
        check_bundle_place(options.output)
        moved = rehead(load_bundle(options.model), read_head(options.from_head), read_head(options.to_head))
        save_bundle(options.output, moved, half=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"The bundle is in {options.output}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
