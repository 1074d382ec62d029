"""The benchmark's own promises: what it compares, counts and writes.  Nothing timed is judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from codetalker_blender.engine.code_loop import CodeLoop, CodeSampler
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery
from tests.bench import batch_row, retarget
from tests.bench.__main__ import run
from tests.bench.floor import clip_parts, floor_line, floor_record, heard_macs, whole_decode_macs
from tests.bench.plain import plain_codes
from tests.bench.plot import write_plot
from tests.bench.rates import Rates, measure_rates
from tests.bench.requests import NAMES, Request, expand
from tests.bench.result import Comparison, Row
from tests.bench.row import compare, fast_clip, file_row, precision_row, sound_row
from tests.bench.sizes import SIZES, Drive, noise, random_networks
from tests.bench.table import header, lines

TINY_CODEC, TINY_QUERY = SIZES["tiny"]
#: BIWI's shape: two speech frames per step, Linears around the codes.
TWO_FRAMES = (
    replace(TINY_CODEC, components=8, code_projection=True, output_bias=False),
    replace(TINY_QUERY, components=8, speech_frames=2),
)


def attention_macs(query: Any, key: Any, value: Any, *_: object, **__: object) -> int:
    """Flops of the CPU's fused attention, which torch's counter passes over."""
    batch, heads, asked, width = query
    return int(2 * batch * heads * asked * key[2] * (width + value[3]))


def linear_macs(x: Any, weight: Any, *_: object, **__: object) -> int:
    """Flops of oneDNN's Linear, which it passes over, too."""
    return int(2 * np.prod(x) * weight[0])


def counted_macs(counter: FlopCounterMode) -> int:
    """torch counts a multiply-add as two."""
    return int(counter.get_total_flops()) // 2


def flop_counter() -> FlopCounterMode:
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    mapping = {fused: attention_macs, torch.ops.aten.mkldnn_linear: linear_macs}
    return FlopCounterMode(display=False, custom_mapping=mapping)


# -- comparing -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny() -> tuple[Codec, CodeQuery, Drive]:
    return *random_networks(TINY_CODEC, TINY_QUERY), noise(TINY_QUERY, 4.0)


def test_the_plain_loop_and_the_engine_choose_the_same_codes(tiny: tuple[Codec, CodeQuery, Drive]) -> None:
    codec, query, drive = tiny
    plain = plain_codes(codec, query, drive.speech, drive.style)
    comparison = compare(fast_clip(codec, query, drive).codes, plain.codes, plain.distances)
    assert comparison.equal
    assert comparison.agreement == 1.0
    row = Row("tiny", 4.0, 1.0, 1.0, comparison=comparison)
    assert row.objections() == []
    assert comparison.distinct >= 100


def test_a_planted_difference_is_told_with_its_frame_and_margin(
    tiny: tuple[Codec, CodeQuery, Drive],
) -> None:
    codec, query, drive = tiny
    plain = plain_codes(codec, query, drive.speech, drive.style)
    # the second-nearest code in place of the nearest, as a rounding error would have it
    feature = chosen_feature(codec, query, drive, plain.codes, frame=7, component=3)
    ranked = (codec.quantiser.codebook.detach() - feature).square().sum(dim=-1).sort()
    assert int(ranked.indices[0]) == plain.codes[7, 3]
    ours = plain.codes.clone()
    ours[7, 3] = ranked.indices[1]
    ours[9] = 0
    difference = compare(ours, plain.codes, plain.distances).difference
    assert difference is not None
    assert (difference.frame, difference.component) == (7, 3)
    assert (difference.code, difference.reference) == (int(ranked.indices[1]), int(ranked.indices[0]))
    assert difference.nearest == pytest.approx(float(ranked.values[0]), rel=1e-3)
    assert difference.second == pytest.approx(float(ranked.values[1]), rel=1e-3)
    row = Row("tiny", 4.0, 1.0, 1.0, comparison=compare(ours, plain.codes, plain.distances))
    (said,) = [line for line in lines(row) if "DOES NOT COUNT" in line]
    margin = f"margin {difference.second - difference.nearest:.3g}"
    assert "frame 7, component 3" in said and margin in said


@torch.inference_mode()
def chosen_feature(
    codec: Codec, query: CodeQuery, drive: Drive, codes: Tensor, frame: int, component: int
) -> Tensor:
    """The feature (C,) that a step's code was chosen for, by the query's step form on those codes."""
    loop = CodeLoop(codec, query, drive.speech, drive.style, CodeSampler(0.0, 0))
    seen: list[Tensor] = []
    original = loop.choose

    def watched(features: Tensor | None, logits: Tensor | None, draws: Tensor | None = None) -> Tensor:
        assert features is not None
        seen.append(features[0, 0])
        return original(features, logits, draws)

    loop.choose = watched  # type: ignore[method-assign]
    chosen = torch.cat([loop.step()[0] for _ in range(frame + 1)])
    assert torch.equal(chosen, codes[: frame + 1])
    rows: Tensor = seen[frame].view(-1, codec.config.code_dim)
    return rows[component]


def test_equal_but_few_codes_do_not_count() -> None:
    codes = torch.arange(99).reshape(33, 3)
    row = Row("made", 1.0, 1.0, 1.0, comparison=compare(codes, codes))
    (objection,) = row.objections()
    assert "99 distinct codes" in objection
    assert replace(row, comparison=Comparison(1.0, 100)).objections() == []
    # what may differ is never held against its codes
    assert replace(row, exact=False).objections() == []


def test_lower_precision_tells_how_many_codes_agree() -> None:
    row = precision_row(Request("precision", "tiny", 0.5))
    assert row.comparison is not None
    assert 0.0 < row.comparison.agreement <= 1.0
    assert f"{100 * row.comparison.agreement:.2f} % of codes agree" in row.notes[0]
    assert row.objections() == []


# -- the floor -----------------------------------------------------------------------------------


@torch.inference_mode()
def test_the_last_decoding_is_counted_as_torch_counts_it() -> None:
    for config in (TINY_CODEC, TWO_FRAMES[0]):
        codec = Codec(config).eval()
        with flop_counter() as counter:
            codec.decoder.trunk(codec.decoder.spread(torch.randn(1, 9, config.latent_dim)))
        assert counted_macs(counter) == whole_decode_macs(config, 9)


@torch.inference_mode()
def test_the_query_is_counted_as_torch_counts_its_teacher_forced_form() -> None:
    codec, config, steps = *TWO_FRAMES, 9
    query = CodeQuery(config).eval()
    with flop_counter() as counter:
        query(torch.randn(1, 2 * steps, config.speech_dim), torch.zeros(1, steps, config.motion_dim),
              torch.eye(config.styles)[None, :1])  # fmt: skip
    parts = clip_parts(codec, config, steps)
    counted = parts["query"].macs.sum() + heard_macs(config, steps)
    # in the teacher-forced form 3V numbers come in, nothing goes back, codes are not chosen, and the
    # future is computed and then hidden
    counted += steps * config.motion_dim * config.hidden + config.styles * config.hidden
    counted -= steps * (codec.hidden * config.hidden + config.feature_dim * config.code_count)
    counted += config.layers * 2 * config.hidden * (steps**2 - steps * (steps + 1) // 2)
    assert counted_macs(counter) == counted


@pytest.mark.parametrize("configs", [(TINY_CODEC, TINY_QUERY), TWO_FRAMES], ids=["one frame", "two frames"])
def test_no_loop_does_less_than_the_floor(configs: tuple[Any, Any]) -> None:
    codec, query = random_networks(*configs)
    drive = noise(configs[1], 1.0)
    with flop_counter() as fast:
        fast_clip(codec, query, drive)
    with flop_counter() as plain, torch.inference_mode():
        plain_codes(codec, query, drive.speech, drive.style)
    floor = sum(part.macs.sum() for part in clip_parts(*configs, drive.steps).values())
    assert floor <= counted_macs(fast) < counted_macs(plain)


def test_the_floor_says_what_bounds_each_part() -> None:
    narrow = Rates("float32", 4, gemm_rows=(1, 10), gemm_macs_per_s=(1e30, 1e30), bytes_per_s=1.0)
    record = floor_record(TINY_CODEC, TINY_QUERY, 10, narrow, narrow)
    # at a byte per second nothing waits for the processor
    assert all(part["seconds"] == part["memory_s"] for part in record["parts"].values())
    parts = clip_parts(TINY_CODEC, TINY_QUERY, 10).values()
    assert record["seconds"] == pytest.approx(4 * sum(part.numbers.sum() for part in parts))
    said = floor_line(record, 2 * record["seconds"])
    assert "prefix" in said and "memory" in said and "2.00 times the floor" in said
    slow = replace(narrow, gemm_macs_per_s=(1.0, 1.0), bytes_per_s=1e30)
    record = floor_record(TINY_CODEC, TINY_QUERY, 10, slow, slow)
    assert record["seconds"] == pytest.approx(sum(part.macs.sum() for part in parts))
    halves = replace(slow, number_bytes=2, bytes_per_s=1.0)
    halved = floor_record(TINY_CODEC, TINY_QUERY, 10, slow, halves)["parts"]
    numbers = clip_parts(TINY_CODEC, TINY_QUERY, 10)["prefix"].numbers.sum()
    assert halved["prefix"]["memory_s"] == pytest.approx(2 * numbers)


def test_rates_are_measured_at_the_prefixes_of_the_clip() -> None:
    (rates,) = measure_rates(TINY_CODEC, 16, [torch.bfloat16])
    assert (rates.dtype, rates.number_bytes) == ("bfloat16", 2)
    assert rates.gemm_rows == (1, 2, 4, 8, 16)
    assert min(*rates.gemm_macs_per_s, rates.bytes_per_s) > 0
    # between two of them by straight lines
    made = replace(rates, gemm_macs_per_s=(1.0, 2.0, 4.0, 8.0, 16.0))
    assert made.macs_per_s(np.array([1.0, 3.0, 12.0, 99.0])).tolist() == [1.0, 3.0, 12.0, 16.0]


# -- rows and reports ----------------------------------------------------------------------------


def test_every_name_gives_rows() -> None:
    assert all(expand([name], 10.0) for name in NAMES)
    labels = [(row.size, row.seconds) for row in expand(["lengths"], 10.0)]
    assert labels == [
        ("half", 20.0), ("half", 60.0), ("half", 300.0),
        ("default", 10.0), ("default", 60.0), ("default", 600.0),
    ]  # fmt: skip
    assert [row.seconds for row in expand(["vocaset", "default", "speech"], 3.0)] == [3.0, 60.0, 3.0]


def test_a_row_of_retargeting_says_what_is_wanted_and_fails_when_motion_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = expand(["retarget"], 10.0)[-1]
    assert (request.kind, request.size, request.seconds) == ("solve", "ARKit solve", 30.0)
    row = retarget.solve_row(replace(request, seconds=1.0))
    assert row.fast_s is not None and not row.objections() and "30 frames × 52 shapes" in row.notes[0]
    assert "at most 0.5 s are wanted for 30 s" in row.notes[0]
    monkeypatch.setattr(retarget, "_MOST_ERROR", 0.0)
    assert "of the motion are missed" in retarget.solve_row(replace(request, seconds=1.0)).objections()[0]


def test_the_report_has_a_row_per_request_though_one_dies(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([Request("codes", "no such size", 1.0), *expand(["tiny"], 10.0)], tmp_path) == 1
    report = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert report["torch"] == torch.__version__
    assert report["threads"] >= 1 and report["processor"]
    failed, measured = report["rows"]
    assert failed["config"] == "no such size" and failed["failed"] and not failed["counts"]
    assert measured["config"] == "tiny" and measured["counts"]
    assert measured["comparison"]["difference"] is None
    assert measured["ratio"] == pytest.approx(measured["plain_s"] / measured["fast_s"])
    assert measured["floor"]["seconds"] > 0
    printed = capfd.readouterr().out.splitlines()
    assert printed[:2] == header()
    assert "DOES NOT COUNT: failed" in printed[3]
    assert printed[4].startswith("tiny ")
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


def test_whole_bundles_of_a_second(
    default_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    row = sound_row(Request("sound", "default", 1.0))
    written = file_row(Request("file", "default", 1.0))
    assert row.distinct_codes and written.distinct_codes == row.distinct_codes
    assert "30 frames in a file" in written.notes[0]
    assert list((tmp_path / "build" / "bench").iterdir()) == []


def test_the_plot_needs_two_lengths(tmp_path: Path) -> None:
    path = tmp_path / "made" / "lengths.png"
    rows = [Row("half", 20.0, fast_s=30.0), Row("default", 10.0, fast_s=1.0)]
    assert not write_plot(path, rows)
    assert write_plot(path, [*rows, Row("half", 60.0, fast_s=80.0)])
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in path.parent.iterdir()] == ["lengths.png"]


def test_a_batch_makes_the_very_files_of_its_yardstick(
    default_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_row, "CLIP_COUNT", 2)
    row = batch_row.batch_row(Request("batch", "default", 0.5))
    assert row.objections() == []
    assert row.config == "2 clips" and row.plain_s and row.fast_s
    assert "times the processor's time" in row.notes[0]
