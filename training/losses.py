"""Every loss by its name: tensors in, one scalar tensor out.

The paper's four come first; the others are additions that a weight of 0 switches off.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def reconstruction_l1(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of motion, any equal shapes (CodeTalker equation 3, first term)."""
    return (predicted - target).abs().mean()


def quantiser_loss(latent: Tensor, quantised: Tensor, commitment: float = 0.25) -> Tensor:
    """Codebook and commitment terms (equation 3): mean((e - sg[z])²) + 0.25 mean((sg[e] - z)²).

    latent: z, the encoder's output (..., H*C); quantised: e, the codes' vectors with their own gradient
    """
    return (quantised - latent.detach()).square().mean() + commitment * (
        quantised.detach() - latent
    ).square().mean()


def motion_mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of motion (stage 2, equation 7, first term)."""
    return F.mse_loss(predicted, target)


def feature_mse(features: Tensor, target: Tensor) -> Tensor:
    """Features against the quantised features of the true motion, detached (equation 7, second term)."""
    return F.mse_loss(features, target.detach())


def code_cross_entropy(logits: Tensor, codes: Tensor) -> Tensor:
    """Codes as classes: logits (..., N), codes (...)."""
    return F.cross_entropy(logits.flatten(0, -2), codes.flatten())


def weighted_motion(predicted: Tensor, target: Tensor, metric: Tensor) -> Tensor:
    """Region-weighted vertex error, added up over the parts of the face.

    predicted, target: (..., D); metric: (P, D, D) L_p with e L_p L_pᵀ eᵀ = sum over vertices of
    weight * |offset|² of part p's share of e
    The first part (the mouth) has the mean over frames of the root, which keeps rare large errors from
    ruling, as an L1 norm does.  The others, which rest most of the time, have the root of the mean over
    frames: open lids would outvote every blink.
    """
    parts, width, _ = metric.shape
    # all parts in one product: (..., D) x (D, P * D)
    error = ((predicted - target) @ metric.transpose(0, 1).flatten(1)).unflatten(-1, (parts, width))
    squared = error.square().mean(-1).add(1e-8).flatten(0, -2)
    return torch.as_tensor(squared[:, 0].sqrt().mean() + squared[:, 1:].mean(dim=0).sqrt().sum())


def weighted_velocity(predicted: Tensor, target: Tensor, metric: Tensor) -> Tensor:
    """:func:`weighted_motion` on differences between neighbouring frames (axis -2)."""
    return weighted_motion(predicted.diff(dim=-2), target.diff(dim=-2), metric)


def gap_error(
    predicted: Tensor,
    target: Tensor,
    rest: Tensor,
    rows: Tensor,
    contact_mm: float = 2.0,
    contact_weight: float = 1.0,
) -> Tensor:
    """Mean absolute difference of log(1 mm + distance) between pairs of vertices, averaged over frames.

    predicted, target: (..., R); rest: (G, 3) millimetres between each pair at rest; rows: (R, G, 3) what a
    coefficient adds; frames whose target is within ``contact_mm`` weigh ``contact_weight``.
    Lips 1 mm apart look open and 10 or 11 mm look the same, so distances count by their ratio; as an
    L1 norm it prefers the likelier of open and closed to their mean; and contacts are rare.
    """

    def distance(motion: Tensor) -> Tensor:
        between = rest + torch.einsum("...r,rgd->...gd", motion, rows)
        return between.square().sum(-1).add(1e-6).sqrt()

    wanted = distance(target)
    weight = torch.where(wanted <= contact_mm, contact_weight, 1.0)
    return (weight * (distance(predicted).log1p() - wanted.log1p()).abs()).mean()


def perplexity(codes: Tensor, code_count: int) -> Tensor:
    """exp(entropy) of code use, 1 to N; codes: any shape of int64."""
    shares = torch.bincount(codes.flatten(), minlength=code_count).float() / codes.numel()
    return torch.exp(-(shares * (shares + 1e-10).log()).sum())
