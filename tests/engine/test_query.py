"""Stage 2: cached steps equal the full form, the future is unseen, styles mix."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from codetalker_blender.engine.query import CodeQuery, QueryConfig
from tests.engine.variants import VARIANTS, variant_configs, variant_networks

STEPS = 40  # more than a period and more than any look_back of the variants


def inputs(config: QueryConfig, steps: int = STEPS, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Speech, past motion (zeros at first) and a style per step."""
    random = torch.Generator().manual_seed(5)
    speech = torch.randn(
        batch, steps * config.speech_frames * config.temporal_unit, config.speech_dim, generator=random
    )
    past = torch.randn(batch, steps, config.motion_dim, generator=random)
    past[:, 0] = 0.0
    style = torch.rand(batch, steps, config.styles, generator=random)
    return speech, past, style


def joined(outputs: tuple[Tensor | None, Tensor | None]) -> Tensor:
    """Features and logits side by side: (batch, steps, numbers)."""
    return torch.cat([part.flatten(2) for part in outputs if part is not None], dim=-1)


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_cached_steps_equal_the_full_form(name: str) -> None:
    query = variant_networks(name)[1]
    speech, past, style = inputs(query.config)
    embedded = query.motion_map(past) + query.style_vectors(style)
    state, unit = query.start(STEPS), query.config.speech_frames * query.config.temporal_unit
    steps = []
    # the speech comes in two parts
    for first, end in ((0, 17), (17, STEPS)):
        query.hear(speech[:, first * unit : end * unit], state)
        steps += [joined(query.step(embedded[:, t : t + 1], state)) for t in range(first, end)]
    torch.testing.assert_close(
        torch.cat(steps, dim=1), joined(query(speech, past, style)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_the_future_cannot_change_the_past(name: str) -> None:
    query = variant_networks(name)[1]
    config, cut = query.config, 23
    speech, past, style = inputs(config)
    before = joined(query(speech, past, style))
    for changed, first in (
        (speech, cut * config.speech_frames * config.temporal_unit),
        (past, cut),
        (style, cut),
    ):
        changed[:, first:] += 1.0
        after = joined(query(speech, past, style))
        torch.testing.assert_close(after[:, :cut], before[:, :cut], rtol=1e-5, atol=1e-5)
        assert not torch.allclose(after[:, cut:], before[:, cut:])


@torch.inference_mode()
def test_finite_look_back_forgets() -> None:
    query = variant_networks("short memory")[1]
    assert query.config.look_back is not None
    reach = query.config.layers * (query.config.look_back - 1)
    speech, past, style = inputs(query.config)
    before = joined(query(speech, past, style))
    past[:, 1] += 1.0
    moved = (joined(query(speech, past, style)) - before).abs().amax(dim=(0, 2))
    assert moved[1] > 0
    assert not moved[:1].any()
    assert not moved[1 + reach + 1 :].any()


@torch.inference_mode()
def test_constant_style_is_one_row_for_all_steps() -> None:
    query = variant_networks("vocaset")[1]
    speech, past, style = inputs(query.config)
    row = style[:, :1]
    constant = row.expand(-1, STEPS, -1)
    torch.testing.assert_close(joined(query(speech, past, row)), joined(query(speech, past, constant)))


@torch.inference_mode()
def test_styles_mix_as_their_embeddings_do() -> None:
    query = variant_networks("vocaset")[1]
    mix = torch.tensor([[[0.3, 0.0, 0.7]]])
    expected = 0.3 * query.style_embedding[0] + 0.7 * query.style_embedding[2]
    torch.testing.assert_close(query.style_vectors(mix)[0, 0], expected)


@torch.inference_mode()
def test_positions_repeat_every_period() -> None:
    query = variant_networks("vocaset")[1]
    period = query.config.period
    places = query.positions(0, 3 * period, torch.device("cpu"))
    assert torch.equal(places[:period], places[2 * period :])
    assert torch.equal(query.positions(7000 * period, period, torch.device("cpu")), places[:period])


@torch.inference_mode()
def test_an_untrained_query_gives_zero_features() -> None:
    query = CodeQuery(variant_configs("vocaset")[1]).eval()
    assert not joined(query(*inputs(query.config))).any()


@pytest.mark.parametrize("heads", [1, 2, 8])
@torch.inference_mode()
def test_any_number_of_heads(heads: int) -> None:
    config = dataclasses.replace(variant_configs("biwi")[1], heads=heads)
    query = CodeQuery(config).eval()
    torch.nn.init.normal_(query.feature_map.weight)
    assert joined(query(*inputs(config))).isfinite().all()


@pytest.mark.parametrize(
    "changes", [{"heads": 5}, {"categorical": 17}, {"categorical": -1}, {"look_back": 0}]
)
def test_configs_that_make_no_query_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        dataclasses.replace(QueryConfig(motion_dim=60), **changes)  # type: ignore[arg-type]
