"""The import command: the card it writes, the checkpoints it refuses, and files that would run something."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.engine import golden
from tests.training.importing import TEMPLATE, Importer, state_of, write_state

OFFICIAL_STYLES = {"vocaset": "FaceTalk_170728_03272_TA", "biwi": "F2"}


@pytest.fixture
def importer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importer:
    return Importer(tmp_path, capsys)


# -- the card ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flavour", "fps", "rows"), [("vocaset", 30.0, 8), ("biwi", 25.0, 6)])
def test_card_of_a_plain_import(importer: Importer, flavour: str, fps: float, rows: int) -> None:
    card = importer.bundle(flavour=flavour).card
    assert (card.fps, len(card.styles), card.styles[0]) == (fps, rows, OFFICIAL_STYLES[flavour])
    assert (card.name, card.temperature) == ("bundle", 0.0)


def test_card_of_an_import_with_options(importer: Importer) -> None:
    names = "a,b,c,d,e,f,g,ä h"
    text = ("--name=My face", "--description=Trained at home.", "--licence=CC0-1.0", "--up-axis=Z")
    bundle = importer.bundle("--metres-per-unit=0.5", "--fps=60", "--period=24", f"--styles={names}", *text)
    card = bundle.card
    assert (card.name, card.description, card.licence, card.up_axis) == (
        "My face",
        "Trained at home.",
        "CC0-1.0",
        "Z",
    )
    assert (card.units_per_metre, card.fps, bundle.speech.config.fps) == (2.0, 60.0, 60.0)
    assert bundle.query.config.period == 24
    assert card.styles == tuple(names.split(","))


def test_other_style_counts_get_numbers(importer: Importer) -> None:
    state = state_of("vocaset", 2)
    state["learnable_style_emb.weight"] = torch.ones(3, 32)
    stage2 = write_state(importer.folder / "three.pth.tar", state)
    assert importer.bundle(stage2=stage2).card.styles == ("style_0", "style_1", "style_2")
    assert "2 names" in importer.refusal("--styles=a,b", stage2=stage2, output=importer.folder / "other")


def test_newer_weight_norm_names_are_read(importer: Importer) -> None:
    state = state_of("vocaset", 2)
    stem = "audio_encoder.encoder.pos_conv_embed.conv."
    for index, kind in enumerate(("weight_g", "weight_v")):
        state[f"{stem}parametrizations.weight.original{index}"] = state.pop(stem + kind)
    renamed = importer.bundle(stage2=write_state(importer.folder / "new.pth.tar", state))
    plain = golden.networks("vocaset").speech.state_dict()
    assert all(torch.equal(tensor, plain[name]) for name, tensor in renamed.speech.state_dict().items())


# -- checkpoints that are refused ----------------------------------------------------------------


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (1, "encoder.vertice_mapping.0.weight"),
        (1, "decoder.decoder_transformer.net.3.fn.fn.l2.bias"),
        (1, "quantize.embedding.weight"),
        (2, "feat_map.weight"),
        (2, "learnable_style_emb.weight"),
        (2, "transformer_decoder.layers.1.self_attn.in_proj_weight"),
        (2, "audio_encoder.encoder.pos_conv_embed.conv.weight_v"),
        (2, "audio_encoder.encoder.layers.0.attention.k_proj.bias"),
    ],
)
def test_wrong_tensors_are_named(importer: Importer, flavour: str, stage: int, name: str) -> None:
    path = importer.folder / "changed.pth.tar"

    def refusal(state: dict[str, Tensor]) -> str:
        return importer.refusal(f"--stage{stage}={write_state(path, state)}", flavour=flavour)

    path.touch()  # so that only what the command writes could be new
    state = state_of(flavour, stage)
    whole = state.pop(name)
    assert f"'{name}' is missing" in refusal(state)
    assert f"'{name}' has shape" in refusal(state | {name: whole[None]})
    assert f"'{name}' holds NaN" in refusal(state | {name: torch.full_like(whole, torch.nan)})
    extra = "module." + name
    assert f"'{extra}' is not expected" in refusal(state | {name: whole, extra: whole})


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_stages_in_the_wrong_order(importer: Importer, flavour: str) -> None:
    first, second = golden.checkpoint(flavour, 1), golden.checkpoint(flavour, 2)
    assert "stage-2 checkpoint" in importer.refusal(stage1=second, stage2=first)
    assert "stage-1 checkpoint" in importer.refusal(stage2=first)


@pytest.mark.parametrize(("flavour", "other"), [("vocaset", "biwi"), ("biwi", "vocaset")])
def test_mixed_flavours(importer: Importer, flavour: str, other: str) -> None:
    said = importer.refusal(flavour=flavour, stage2=golden.checkpoint(other, 2))
    assert f"{flavour.upper()} flavour" in said
    assert "25" in said
    assert "30" in said


@pytest.mark.parametrize(
    "extra",
    [
        "--codec-heads=5",
        "--codec-heads=0",
        "--query-heads=5",
        "--speech-heads=5",
        "--period=0",
        "--fps=24",
    ],
)
def test_options_that_do_not_fit(importer: Importer, extra: str) -> None:
    assert extra.split("=")[0] in importer.refusal(extra, flavour="biwi")


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("--metres-per-unit=wide", "'wide' is not a positive number"),
        ("--metres-per-unit=0", "'0' is not a positive number"),
        ("--fps=nan", "'nan' is not a positive number"),
        ("--period=x", "--period"),
        ("--up-axis=up", "--up-axis"),
        ("--colour=red", "--colour"),
    ],
)
def test_arguments_that_make_no_sense(importer: Importer, extra: str, says: str) -> None:
    said = importer.refusal(extra)
    assert says in said
    assert "--help" in said
    assert "_positive" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and named pipes")
def test_ctrl_c_ends_without_a_traceback(importer: Importer) -> None:
    pipe = importer.folder / "mesh.ply"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "training.import_official", f"--output={importer.output}"]
    files = {"stage1": "a", "stage2": "b", "template": importer.folder / "template.npy", "mesh": pipe}
    running = subprocess.Popen(
        [*command, *(f"--{name}={value}" for name, value in files.items())],
        cwd=Path(__file__).resolve().parents[2],
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs, and what they start, are born deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with pipe.open("wb"):  # goes on once the command waits for the mesh
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "Cancelled.\n")
    assert not importer.output.exists()


def truncated(path: Path) -> None:
    path.write_bytes(golden.checkpoint("vocaset", 1).read_bytes()[:5000])


@pytest.mark.parametrize(
    "write",
    [
        truncated,
        lambda path: path.write_bytes(b"not a checkpoint"),
        lambda path: path.write_bytes(b""),
        lambda path: torch.save({"weights": torch.zeros(3)}, path),
        lambda path: torch.save({"state_dict": {"a": 1}}, path),
        lambda path: torch.save(torch.zeros(3), path),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
)
@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_files_that_are_no_checkpoints(
    importer: Importer, stage: str, write: Callable[[Path], object]
) -> None:
    path = importer.folder / "odd.pth.tar"
    write(path)
    assert "odd.pth.tar" in importer.refusal(f"--{stage}={path}")


# -- files that would run something --------------------------------------------------------------


class Malice:
    """Unpickled without care, it makes a folder."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self._call


def malices(trace: Path) -> list[Malice]:
    return [
        Malice(os.mkdir, str(trace)),
        Malice(os.system, f"mkdir '{trace}'"),
        Malice(eval, f"__import__('os').mkdir({str(trace)!r})"),
        Malice(getattr, Path(trace), "mkdir"),
    ]


def test_the_malice_of_these_tests_is_real(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(malices(tmp_path / "trace")[0]))  # noqa: S301 -- our own, to know that it bites
    assert (tmp_path / "trace").is_dir()


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_malicious_files_run_nothing(importer: Importer, kind: int, protocol: int) -> None:
    trace = importer.folder / "trace"
    malice = malices(trace)[kind]
    plain = pickle.dumps({"F2": TEMPLATE, "lips": malice}, protocol=protocol)
    for name in ("templates.pkl", "FLAME_masks.pkl", "bare.pth.tar"):
        (importer.folder / name).write_bytes(plain)
    state = state_of("vocaset", 1)
    torch.save({"state_dict": state, "extra": malice}, importer.folder / "zipped.pth.tar")
    old_format = {"_use_new_zipfile_serialization": False}
    torch.save({"state_dict": state, "extra": malice}, importer.folder / "old.pth.tar", **old_format)
    assert "without running" in importer.refusal(template=importer.folder / "templates.pkl")
    assert "without running" in importer.refusal(regions=importer.folder)
    for name in ("bare.pth.tar", "zipped.pth.tar", "old.pth.tar"):
        assert name in importer.refusal(stage1=importer.folder / name)
        assert name in importer.refusal(stage2=importer.folder / name)
    assert not trace.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([[{}, [], 1]], dtype=object),
        np.zeros(3, [("a", "f4")]),
        np.array(["text"]),
        np.zeros(3, complex),
    ],
)
def test_arrays_of_other_than_numbers_are_refused(importer: Importer, value: NDArray[Any]) -> None:
    path = importer.folder / "templates.pkl"
    path.write_bytes(pickle.dumps({"F2": value}))
    assert "without running" in importer.refusal(template=path)


def test_a_list_that_doubles_itself_is_refused(importer: Importer) -> None:
    doubled: list[Any] = []
    for _ in range(26):
        doubled = [doubled, doubled]  # 26 lists in the file, 134 million in a copy
    for name in ("templates.pkl", "FLAME_masks.pkl"):
        (importer.folder / name).write_bytes(pickle.dumps({"F2": doubled, "lips": doubled}))
    assert "more than 1,000,000 items" in importer.refusal(template=importer.folder / "templates.pkl")
    assert "more than 1,000,000 items" in importer.refusal(regions=importer.folder)


# -- the output ----------------------------------------------------------------------------------


def test_output_that_is_no_bundle_is_left_alone(importer: Importer) -> None:
    importer.output.mkdir()
    (importer.output / "letter.txt").write_text("dear", encoding="utf-8")
    assert "left as it is" in importer.refusal()
    assert [path.name for path in importer.output.iterdir()] == ["letter.txt"]


def test_an_older_bundle_is_replaced(importer: Importer) -> None:
    assert len(importer.bundle(flavour="vocaset").card.styles) == 8
    assert len(importer.bundle(flavour="biwi").card.styles) == 6
    left = {path.name for path in importer.folder.iterdir()}
    assert left == {"bundle", "template.npy"}
