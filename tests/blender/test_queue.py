"""Several runs: their order, their one worker, stopping them, and what is left when they end."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

import codetalker_blender
from codetalker_blender.blender.runs import jobs
from codetalker_blender.errors import EngineError
from tests.blender import running, scenes
from tests.blender.processes import children, is_alive

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def worker_pid() -> int:
    for _ in range(500):
        if (pid := jobs.QUEUE.worker_pid) is not None:
            return pid
        time.sleep(0.01)
    raise AssertionError("there is no worker")


def test_runs_follow_each_other_in_one_worker(settings: Any) -> None:
    names = ["First", "Second", "Third"]
    runs = []
    for name in names:
        settings.target = scenes.add_sheet(name)
        runs.append(running.add())
    assert jobs.current() is runs[0] and jobs.QUEUE.waiting == tuple(runs[1:])
    assert [run.going for run in runs] == [True, False, False]
    settings.target = None  # what was asked for stays asked for
    pids = []
    for name, run in zip(names, runs, strict=True):
        written = running.finish(run)
        assert written is not None and written.target == name
        pids.append(worker_pid())
        later = names[names.index(name) + 1 :]
        assert all(bpy.data.objects[other].data.shape_keys is None for other in later)
    assert len(set(pids)) == 1, "the model was loaded anew"
    assert jobs.current() is None


def test_one_that_waits_is_cancelled_and_the_others_go_on(settings: Any) -> None:
    runs = []
    for name in ("First", "Second", "Third"):
        settings.target = scenes.add_sheet(name)
        runs.append(running.add())
    assert bpy.ops.codetalker.cancel(run=runs[1].number) == {"FINISHED"}
    assert runs[1].cancelled and not jobs.QUEUE.holds(runs[1])
    assert running.finish(runs[0]) is not None
    assert jobs.current() is runs[2]
    assert running.finish(runs[2]) is not None
    assert bpy.data.objects["Second"].data.shape_keys is None


def test_cancel_stops_the_one_that_goes_and_the_next_has_its_worker(
    settings: Any, long_speech_file: Path, speech_file: Path
) -> None:
    settings.target = scenes.add_sheet("Long")
    settings.audio = str(long_speech_file)
    first = running.add()
    settings.target, settings.audio = scenes.add_sheet("Short"), str(speech_file)
    second = running.add()
    running.until_stage(first, "codes")
    pid = worker_pid()
    bpy.ops.codetalker.cancel()
    assert first.label == "Cancelling"
    assert running.finish(first) is None and first.cancelled and not second.cancelled
    assert running.finish(second) is not None
    assert worker_pid() == pid
    assert bpy.data.objects["Long"].data.shape_keys is None


def test_cancel_all(settings: Any, long_speech_file: Path) -> None:
    settings.target, settings.audio = scenes.add_sheet(), str(long_speech_file)
    runs = [running.add() for _ in range(3)]
    assert bpy.ops.codetalker.cancel_all() == {"FINISHED"}
    assert jobs.QUEUE.waiting == () and all(run.cancelled for run in runs)
    assert running.finish(runs[0]) is None
    for button in (bpy.ops.codetalker.cancel_all, bpy.ops.codetalker.cancel):
        with pytest.raises(RuntimeError, match="Nothing is being generated"):
            button()


def test_a_run_that_is_given_up_leaves_the_next_a_fresh_worker(
    settings: Any, long_speech_file: Path, speech_file: Path
) -> None:
    """As where its window is closed: nobody waits for the worker's answer."""
    settings.target, settings.audio = scenes.add_sheet(), str(long_speech_file)
    first = running.add()
    settings.audio = str(speech_file)
    second = running.add()
    running.until_stage(first, "codes")
    pid = worker_pid()
    began = time.monotonic()
    jobs.QUEUE.drop(first)
    assert time.monotonic() - began < 0.05
    assert jobs.QUEUE.dropped == ["Face"]
    assert running.finish(second) is not None
    assert not is_alive(pid)


@posix
def test_a_killed_worker_fails_one_run_and_the_next_goes_on(
    settings: Any, long_speech_file: Path, speech_file: Path
) -> None:
    settings.target, settings.audio = scenes.add_sheet(), str(long_speech_file)
    first = running.add()
    settings.audio = str(speech_file)
    second = running.add()
    running.until_stage(first, "codes")
    os.kill(worker_pid(), signal.SIGSEGV)
    before = scenes.dump()
    with pytest.raises(EngineError, match="SIGSEGV"):
        running.finish(first)
    assert scenes.dump() == before
    assert running.finish(second) is not None


def test_time_left_is_told_while_codes_are_chosen(settings: Any, long_speech_file: Path) -> None:
    settings.target, settings.audio = scenes.add_sheet(), str(long_speech_file)
    run = running.add()
    running.until_stage(run, "codes")
    assert run.label.startswith("Choosing codes")
    deadline = time.monotonic() + running.WAIT_S
    while " left" not in run.label:
        assert time.monotonic() < deadline and not run.advance()
        time.sleep(running.TICK_S)
    assert run.label.startswith("Choosing codes, ")
    assert 0.0 < run.fraction < 1.0


def test_memory_that_ends_while_keys_are_prepared_is_a_sentence(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codetalker_blender.blender.writing import takes

    def full(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(takes.compact, "factorise", full)
    settings.target = scenes.add_sheet()
    before = scenes.dump()
    run = running.add()
    with pytest.raises(EngineError, match="ran out of memory while it prepared the keys"):
        running.finish(run)
    assert scenes.dump() == before


def test_removing_the_extension_ends_everything(settings: Any, long_speech_file: Path) -> None:
    """In the middle of a run, with another that waits, and what their operators have in the window."""
    settings.target, settings.audio = scenes.add_sheet(), str(long_speech_file)
    runs = [running.add(), running.add()]
    released = []
    for run in runs:
        run.released = lambda: released.append(1)
    running.until_stage(runs[0], "codes")
    pid = worker_pid()
    codetalker_blender.unregister()
    try:
        assert len(released) == 2
        assert not is_alive(pid) and not running.threads()
        assert jobs.current() is None
    finally:
        codetalker_blender.register()


def test_twenty_times_on_and_off_leaves_nothing(settings: Any) -> None:
    def state() -> list[object]:
        handlers = [
            len(listed)
            for name in sorted(dir(bpy.app.handlers))
            if isinstance(listed := getattr(bpy.app.handlers, name), list)
        ]
        classes = sorted(name for name in dir(bpy.types) if "CODETALKER" in name)
        workers = [line for line in children(os.getpid()) if "job.worker" in line]
        return [handlers, classes, workers, running.threads()]

    settings.target = scenes.add_sheet()
    audio, folder = settings.audio, settings.model_folder
    assert running.finish(running.add()) is not None
    codetalker_blender.unregister()
    before = state()
    assert before[1:] == [[], [], []]
    for count in range(20):
        codetalker_blender.register()
        if count % 5 == 0:  # with a run in the middle, too
            group = bpy.context.scene.codetalker
            group.target, group.audio = bpy.data.objects["Face"], audio
            group.model, group.model_folder = "OTHER_FOLDER", folder
            running.add()
            time.sleep(0.2 * (count // 5))
        codetalker_blender.unregister()
        assert state() == before
    codetalker_blender.register()
