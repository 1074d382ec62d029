"""A motion file is all there or not there, and reads back as it was."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from codetalker_blender import array_files
from codetalker_blender.array_files import write_arrays
from codetalker_blender.contracts import Motion
from codetalker_blender.disk import check_writable
from codetalker_blender.errors import OutputError, UserError
from codetalker_blender.motion_files import motion_writer, read_motion, write_motion

ROOT = Path(__file__).resolve().parents[1]


def motion(frames: int = 7) -> Motion:
    rng = np.random.default_rng(0)
    return Motion(
        offsets=rng.standard_normal((frames, 11, 3)).astype(np.float32),
        fps=24.0,
        codes=rng.integers(0, 256, (9, 4)).astype(np.int32),
        model_fps=30.0,
        loudness=rng.uniform(0, 1, 15).astype(np.float32),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, wrote = tmp_path / "Äußerung 1.npz", motion()
    write_motion(path, wrote, model="default", style="0.25 × neutral + 0.75 × happy")
    read = read_motion(path)
    np.testing.assert_array_equal(read.offsets, wrote.offsets)
    np.testing.assert_array_equal(read.codes, wrote.codes)
    np.testing.assert_array_equal(read.loudness, wrote.loudness)
    assert (read.fps, read.model_fps) == (24.0, 30.0)
    with np.load(path, allow_pickle=False) as archive:
        assert archive["offsets"].dtype == np.float32 and archive["codes"].dtype == np.int32
        assert str(archive["model"]) == "default" and "0.75" in str(archive["style"])
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_motion(path, motion(3))
    write_motion(path, motion(5))
    assert read_motion(path).frame_count == 5


def test_the_longest_names_are_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".npz")  # 255 bytes, as long as the usual disks allow
    check_writable(path)
    write_motion(path, motion())
    assert read_motion(path).frame_count == 7


def refused(path: Path) -> str:
    with pytest.raises(OutputError) as before_work:
        check_writable(path)
    with pytest.raises(OutputError) as caught:
        write_motion(path, motion())
    assert str(caught.value) == str(before_work.value)
    assert str(path) in str(caught.value) and caught.value.hint
    return str(caught.value)


def test_places_that_cannot_be_written_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    assert "folder is missing" in refused(tmp_path / "absent" / "a.npz")
    assert "is a file, not a folder" in refused(tmp_path / "file" / "a.npz")
    assert "is a file, not a folder" in refused(tmp_path / "file" / "deeper" / "a.npz")
    assert "it is a folder" in refused(tmp_path / "folder")
    assert "too long" in refused(tmp_path / ("x" * 300 + ".npz"))
    assert "too long" in refused(tmp_path / ("x" * 300) / "a.npz")
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_disk_that_ends_in_the_middle_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_motion(path, motion(3))
    script = (
        "import resource, numpy as np\n"
        "from pathlib import Path\n"
        "from codetalker_blender.contracts import Motion\n"
        "from codetalker_blender.errors import OutputError\n"
        "from codetalker_blender.motion_files import write_motion\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "big = Motion(np.zeros((900, 99, 3), np.float32), 30.0, np.zeros((1, 1), np.int32), 30.0)\n"
        "try:\n"
        f"    write_motion(Path({str(path)!r}), big)\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "cannot be written" in done.stdout and len(done.stdout.splitlines()) == 1, done.stderr
    assert read_motion(path).frame_count == 3
    assert [item.name for item in tmp_path.iterdir()] == ["a.npz"]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    class Interrupting:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:  # type: ignore[type-arg]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "a.npz", {"whole": np.zeros(9), "late": Interrupting()})
    assert not list(tmp_path.iterdir())


def write_in_chunks(path: Path, wrote: Motion, frames: int) -> None:
    """The motion, handed over a few frames (and the codes a few rows) at a time."""
    count, vertices, _ = wrote.offsets.shape
    with motion_writer(path, count, vertices, wrote.fps, wrote.model_fps, "m", "s") as writer:
        for first in range(0, count, frames):
            writer.add(wrote.offsets[first : first + frames])
        for first in range(0, len(wrote.codes), frames):
            writer.add_codes(wrote.codes[first : first + frames])
        writer.add_loudness(wrote.loudness)


@pytest.mark.parametrize("frames", [1, 3, 7, 100])
def test_written_in_chunks_is_written_whole(tmp_path: Path, frames: int) -> None:
    write_motion(tmp_path / "whole.npz", motion(), "m", "s")
    write_in_chunks(tmp_path / "chunks.npz", motion(), frames)
    assert (tmp_path / "chunks.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_frames_need_not_lie_one_behind_the_other(tmp_path: Path) -> None:
    wrote = motion()
    backwards = np.asfortranarray(wrote.offsets[::-1].astype(np.float64))[::-1]
    with motion_writer(tmp_path / "a.npz", 7, 11, wrote.fps, wrote.model_fps) as writer:
        writer.add(backwards)  # type: ignore[arg-type]
        writer.add(np.zeros((0, 11, 3), np.float32))
        writer.add_codes(wrote.codes)
    np.testing.assert_array_equal(read_motion(tmp_path / "a.npz").offsets, wrote.offsets)


@pytest.mark.parametrize("given", [0, 6, 8])
def test_a_frame_too_few_or_too_many_leaves_nothing(tmp_path: Path, given: int) -> None:
    with (
        pytest.raises(ValueError, match="frame"),
        motion_writer(tmp_path / "a.npz", 7, 11, 30.0, 30.0) as writer,
    ):
        writer.add_codes(motion().codes)
        writer.add(motion(given).offsets)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, OSError])
def test_an_error_in_the_middle_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    """It comes out as it was raised: a disk's OSError while frames are made is not this file's."""
    path = tmp_path / "a.npz"
    write_motion(path, motion(3))
    with pytest.raises(error, match="numbers"), motion_writer(path, 7, 11, 30.0, 30.0) as writer:
        writer.add(motion(5).offsets)
        raise error("numbers")
    assert read_motion(path).frame_count == 3
    assert list(tmp_path.iterdir()) == [path]


def test_more_than_the_disk_holds_is_refused_before_any_work(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"it needs 120000000\.0 GB where .* [GM]B are free") as caught,
        motion_writer(tmp_path / "a.npz", 10**13, 1000, 30.0, 30.0),
    ):
        raise AssertionError("the block was entered")
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux does")
def test_long_motion_is_written_and_read_in_little_memory(tmp_path: Path) -> None:
    """600 MB of offsets pass through; what the process holds grows by less than a quarter of that."""
    script = (
        "import resource, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from codetalker_blender import array_files\n"
        "from codetalker_blender.motion_files import motion_writer, read_motion\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "path, count, vertices = Path(sys.argv[1]), 10_000, 5_000\n"
        "before = peak()\n"
        "with motion_writer(path, count, vertices, 30.0, 30.0) as writer:\n"
        "    for first in range(0, count, 500):\n"
        "        frames = np.arange(first, first + 500, dtype=np.float32)[:, None, None]\n"
        "        writer.add(np.broadcast_to(frames, (500, vertices, 3)))\n"
        "        writer.add_codes(np.full((500, 2), first, np.int32))\n"
        "array_files.MAPPED_ABOVE_BYTES = 500_000_000\n"
        "motion = read_motion(path)\n"
        "assert motion.offsets.shape == (count, vertices, 3) and len(motion.codes) == count\n"
        "assert (motion.offsets[::999, 17, 1] == np.arange(0, count, 999)).all()\n"
        "print(path.stat().st_size, peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "long.npz")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    size, growth = map(int, done.stdout.split())
    assert size > 600_000_000 and growth < 150_000_000, (size, growth)


def test_a_mapped_motion_is_the_one_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    write_motion(path, motion(40))
    plain = read_motion(path)
    monkeypatch.setattr(array_files, "MAPPED_ABOVE_BYTES", 1000)
    mapped = read_motion(path)
    assert isinstance(mapped.offsets, np.memmap) and not isinstance(mapped.codes, np.memmap)
    assert mapped.offsets.flags.aligned
    np.testing.assert_array_equal(mapped.offsets, plain.offsets)
    np.testing.assert_array_equal(mapped.codes, plain.codes)
    assert (mapped.fps, mapped.model_fps) == (plain.fps, plain.model_fps)
    if sys.platform != "win32":
        path.unlink()  # its place is free, its bytes are not
        np.testing.assert_array_equal(mapped.offsets, plain.offsets)


def test_other_peoples_large_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives of numpy itself, compressed or not, in column order."""
    monkeypatch.setattr(array_files, "MAPPED_ABOVE_BYTES", 100)
    wrote = motion(40)
    columns = np.asfortranarray(wrote.offsets)
    rest = {"codes": wrote.codes, "fps": 24.0, "model_fps": 30.0, "model": "m", "style": "s"}
    np.savez(tmp_path / "a.npz", offsets=columns, **rest)  # type: ignore[arg-type]
    np.savez_compressed(tmp_path / "b.npz", offsets=columns, **rest)  # type: ignore[arg-type]
    for name, mapped in (("a", True), ("b", False)):
        read = read_motion(tmp_path / f"{name}.npz").offsets
        assert isinstance(read, np.memmap) == mapped
        np.testing.assert_array_equal(read, wrote.offsets)


def test_damaged_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off, or with a header that does not fit: an error now, not a crash when a frame is touched."""
    write_motion(tmp_path / "good.npz", motion(40))
    good = (tmp_path / "good.npz").read_bytes()
    assert b"(40, 11, 3)" in good
    monkeypatch.setattr(array_files, "MAPPED_ABOVE_BYTES", 1000)
    for number, bad in enumerate(
        (
            good[:3000],
            good[3000:],
            good.replace(b"(40, 11, 3)", b"(41, 11, 3)"),
            good.replace(b"(40, 11, 3)", b"(-4, 11, 3)"),
            good.replace(b"(40, 11, 3)", b"(40, 11, 3 "),
            good.replace(b"'<f4'", b"'|O' "),
            good.replace(b"NUMPY\x01", b"NUMPY\x07"),
            good.replace(b"PK\x03\x04", b"PK\x00\x04"),
        )
    ):
        assert bad != good
        path = tmp_path / f"bad{number}.npz"
        path.write_bytes(bad)
        with pytest.raises(UserError, match=path.name):
            read_motion(path)


def test_files_that_are_no_motion(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez(tmp_path / "other.npz", offsets=np.zeros((2, 3, 3)))
    np.savez(tmp_path / "pickle.npz", offsets=np.array([{"a": 1}], dtype=object))
    good: dict[str, ArrayLike] = {
        "offsets": np.zeros((2, 4, 3), np.float32),
        "codes": np.zeros((2, 1), np.int32),
    }
    names: dict[str, ArrayLike] = {"fps": 30.0, "model_fps": 30.0, "model": "m", "style": "s"}
    write_arrays(tmp_path / "flat.npz", {**good, **names, "offsets": np.zeros((2, 12))})
    write_arrays(tmp_path / "rate.npz", {**good, **names, "fps": 0.0})
    with zipfile.ZipFile(tmp_path / "letters.npz", "w") as archive:
        for letter in (*good, *names):
            archive.writestr(f"{letter}.npy", "Dear reader")
    for name in ("absent", "text", "other", "pickle", "flat", "rate", "letters"):
        with pytest.raises(UserError, match=name):
            read_motion(tmp_path / f"{name}.npz")
