"""A motion file is all there or not there, and reads back as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from codetalker_blender.contracts import Motion
from codetalker_blender.errors import OutputError, UserError
from codetalker_blender.motion_files import check_writable, read_motion, write_arrays, write_motion

ROOT = Path(__file__).resolve().parents[1]


def motion(frames: int = 7) -> Motion:
    rng = np.random.default_rng(0)
    return Motion(
        offsets=rng.standard_normal((frames, 11, 3)).astype(np.float32),
        fps=24.0,
        codes=rng.integers(0, 256, (9, 4)).astype(np.int32),
        model_fps=30.0,
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, wrote = tmp_path / "Äußerung 1.npz", motion()
    write_motion(path, wrote, model="default", style="0.25 × neutral + 0.75 × happy")
    read = read_motion(path)
    np.testing.assert_array_equal(read.offsets, wrote.offsets)
    np.testing.assert_array_equal(read.codes, wrote.codes)
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
    for name in ("absent", "text", "other", "pickle", "flat", "rate"):
        with pytest.raises(UserError, match=name):
            read_motion(tmp_path / f"{name}.npz")
