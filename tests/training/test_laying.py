"""How the codebook is laid on latents and kept alive: rare motion gets codes, and scale changes nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from codetalker_blender.engine.codebook import Codec, CodecConfig
from training.train_codebook import CodebookRestarts, lay_codebook, scale_latent


def codec(components: int = 2) -> Codec:
    torch.manual_seed(0)
    return Codec(
        CodecConfig(
            vertex_count=4, hidden=16, layers=1, heads=2, mlp=16, code_count=16, components=components,
            code_dim=4, causal=True, look_back=4, time_norm=False, code_projection=True, dropout=0.0,
        )
    ).eval()  # fmt: skip


def rare(count: int = 1000) -> Tensor:
    """(count, 2 * 4): the first component wanders, the second rests but for one blink in a hundred."""
    random = torch.Generator().manual_seed(1)
    latent = 0.01 * torch.randn(count, 8, generator=random)
    latent[:, :4] += torch.randn(count, 4, generator=random)
    latent[::100, 4:] += 3.0
    return latent


def test_a_blink_in_a_hundred_frames_has_a_code() -> None:
    made, latent = codec(), rare()
    lay_codebook(made, latent, seed=0)
    distances = made.quantiser.distances(latent).detach().amin(dim=-1)[:, 1]
    assert float(distances[::100].max()) < 0.1


def test_each_component_gets_its_share_of_the_codes() -> None:
    made, latent = codec(), rare()
    latent[:, 4:] += 100.0
    lay_codebook(made, latent, seed=0)
    far = made.quantiser.codebook.mean(dim=1) > 50.0
    assert int(far.sum()) == 8


def test_the_same_seed_lays_the_same_codebook() -> None:
    books = []
    for seed in (0, 0, 1):
        made = codec()
        lay_codebook(made, rare(), seed=seed)
        books.append(made.quantiser.codebook.clone())
    assert torch.equal(books[0], books[1])
    assert not torch.equal(books[0], books[2])


def test_a_dead_code_comes_back_where_no_code_is_near() -> None:
    made, latent = codec(), rare()
    with torch.no_grad():
        made.quantiser.codebook.copy_(torch.randn(16, 4, generator=torch.Generator().manual_seed(2)))
        made.quantiser.codebook[3] = 1000.0
        # nothing but the blink is far from its code
        made.quantiser.codebook[0] = 0.0
    latent[:, :4] = 0.0
    restarts = CodebookRestarts(made, seed=0)
    restarts.saw(latent, made.quantiser.nearest(latent))
    assert restarts.restart() >= 1
    assert float((made.quantiser.codebook[3].detach() - 3.0).abs().max()) < 0.1


def test_scaling_the_latent_changes_no_code_and_no_motion() -> None:
    made = codec()
    motion = torch.randn(1, 12, made.config.motion_dim, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        codes, latent = made.encode(motion), made.encoder(motion)
        decoded = made.decode(codes)
        scale_latent(made, 7.0)
        torch.testing.assert_close(made.encoder(motion), 7.0 * latent, rtol=1e-4, atol=1e-4)
        assert torch.equal(made.encode(motion), codes)
        torch.testing.assert_close(made.decode(codes), decoded, rtol=1e-4, atol=1e-5)
