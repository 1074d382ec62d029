"""Importing official checkpoints as a job: in a real worker and inside, refused, cancelled, killed."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the engine needs torch")

from codetalker_blender.contracts import ImportRequest
from codetalker_blender.errors import BundleError, UserError
from codetalker_blender.job import messages
from codetalker_blender.job.client import JobClient
from codetalker_blender.job.failures import error_of
from codetalker_blender.job.lines import decode, encode
from codetalker_blender.job.messages import ProtocolError
from codetalker_blender.model_files import read_card
from tests.engine import golden
from tests.job.waiting import until_final


@pytest.fixture
def request_(tmp_path: Path) -> ImportRequest:
    """A complete set of files; the small checkpoints have 4 heads everywhere."""
    np.save(tmp_path / "template.npy", golden.arrays("vocaset")["c0_template"].reshape(-1, 3))
    return ImportRequest(
        stage1=golden.checkpoint("vocaset", 1),
        stage2=golden.checkpoint("vocaset", 2),
        template=tmp_path / "template.npy",
        output=tmp_path / "out" / "bundle",
        name="Ünser Gesicht",
        codec_heads=4,
        speech_heads=4,
    )


@pytest.fixture(params=["worker", "inside"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobClient]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = JobClient(request.param)
    yield made
    made.close()


def test_an_import_becomes_a_bundle(client: JobClient, request_: ImportRequest) -> None:
    client.start(request_)
    said = until_final(client)
    final = said[-1]
    assert isinstance(final, messages.Imported), final
    assert "VOCASET flavour" in final.about and "8 styles" in final.about
    card = read_card(request_.output)
    assert (card.name, card.fps, card.notes["flavour"]) == ("Ünser Gesicht", 30.0, "VOCASET")
    stages = [message.stage for message in said if isinstance(message, messages.Progress)]
    assert list(dict.fromkeys(stages)) == ["template", "stage 1", "stage 2", "bundle"]
    assert [path.name for path in request_.output.parent.iterdir()] == ["bundle"]


class Malice:
    """Unpickled without care, it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self._trace = str(trace)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (self._trace,)


def change(request: ImportRequest, case: str, folder: Path) -> ImportRequest:
    bad = folder / "bad.pth.tar"
    values = dict(vars(request))
    match case:
        case "absent":
            values["template"] = folder / "absent.npy"
        case "no checkpoint":
            bad.write_bytes(b"not a checkpoint")
            values["stage1"] = bad
        case "malice":
            bad.write_bytes(pickle.dumps({"state_dict": Malice(folder / "trace")}))
            values["stage2"] = bad
        case "swapped":
            values["stage1"], values["stage2"] = values["stage2"], values["stage1"]
        case "mixed":
            values["stage2"] = golden.checkpoint("biwi", 2)
        case "another face":
            np.save(folder / "bad.npy", np.zeros((7, 3), np.float32))
            values["template"] = folder / "bad.npy"
    return ImportRequest(**values)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("absent", "no template file"),
        ("no checkpoint", "cannot be read as a torch checkpoint|without running anything"),
        ("malice", "without running anything"),
        ("swapped", "is a stage-2 checkpoint"),
        ("mixed", "VOCASET flavour, period 30, but stage 2"),
        ("another face", "7 vertices but the checkpoint was trained on"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(
    request_: ImportRequest, tmp_path: Path, case: str, says: str
) -> None:
    client = JobClient("inside")
    try:
        client.start(change(request_, case, tmp_path))
        final = until_final(client)[-1]
    finally:
        client.close()
    assert isinstance(final, messages.Failed) and not final.traceback, final
    error = error_of(final)
    assert isinstance(error, UserError)
    with pytest.raises(UserError, match=says):
        raise error
    assert not request_.output.exists() and not (tmp_path / "trace").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and named pipes")
@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_an_import_can_be_stopped_in_the_middle(request_: ImportRequest, tmp_path: Path, how: str) -> None:
    pipe = tmp_path / "mesh.ply"
    os.mkfifo(pipe)
    client = JobClient("worker")
    try:
        client.start(ImportRequest(**{**vars(request_), "mesh": pipe}))
        with pipe.open("wb"):  # goes on once the worker waits for the mesh
            assert client.worker_pid is not None
            if how == "cancel":
                client.cancel()
            else:
                os.kill(client.worker_pid, signal.SIGKILL)
            final = until_final(client)[-1]
    finally:
        client.close()
    if how == "cancel":
        assert isinstance(final, messages.Cancelled)
    else:
        assert isinstance(final, messages.Failed) and "SIGKILL" in final.message
    assert not request_.output.exists()


def test_a_request_crosses_the_pipe_unchanged(request_: ImportRequest, tmp_path: Path) -> None:
    more = {"subject": "F2", "mesh": tmp_path / "m.ply", "regions": tmp_path, "licence": "CC0"}
    more |= {"metres_per_unit": 0.5, "styles": ("a", "ä b"), "fps": 60.0, "period": 24}
    full = ImportRequest(**{**vars(request_), **more})
    for wanted in (request_, full):
        sent = messages.Import(wanted)
        assert decode(encode(sent, tmp_path), tmp_path) == sent
    relative = ImportRequest(Path("a"), Path("b"), Path("c"), Path("d"))
    arrived = decode(encode(messages.Import(relative), tmp_path), tmp_path)
    assert isinstance(arrived, messages.Import)
    assert arrived.request.stage1 == Path("a").absolute() and arrived.request.mesh is None
    done = messages.Imported("The bundle is there.")
    assert decode(encode(done, tmp_path), tmp_path) == done


@pytest.mark.parametrize(
    ("field", "value"),
    [("stage1", None), ("styles", [1]), ("styles", "a"), ("codec_heads", 4.5), ("period", True), ("more", 1)],
)
def test_a_request_that_is_none_is_refused(
    request_: ImportRequest, tmp_path: Path, field: str, value: object
) -> None:
    import json

    values = json.loads(encode(messages.Import(request_), tmp_path)) | {field: value}
    with pytest.raises(ProtocolError):
        decode(json.dumps(values).encode(), tmp_path)


def test_an_output_that_is_somebodys_work_is_left_alone(request_: ImportRequest) -> None:
    from codetalker_blender.official_import import import_official

    request_.output.mkdir(parents=True)
    (request_.output / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="left as it is") as caught:
        import_official(request_)
    assert not isinstance(caught.value, BundleError)
    assert [path.name for path in request_.output.iterdir()] == ["letter.txt"]
