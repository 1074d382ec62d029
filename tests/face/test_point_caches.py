"""MDD and PC2, read back by the letter of their formats; Blender's own reading is in tests/blender."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import FloatArray
from codetalker_blender.errors import OutputError
from codetalker_blender.face.point_caches import write_mdd, write_pc2


@pytest.fixture
def points() -> FloatArray:
    return np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)


def test_mdd_is_big_endian_with_a_time_per_frame(tmp_path: Path, points: FloatArray) -> None:
    path = tmp_path / "a.mdd"
    write_mdd(path, iter(points), 5, 7, 24.0)
    data = path.read_bytes()
    assert struct.unpack(">2i", data[:8]) == (5, 7)
    np.testing.assert_allclose(struct.unpack(">5f", data[8:28]), np.arange(5) / 24)
    read = np.frombuffer(data[28:], ">f4").reshape(5, 7, 3)
    np.testing.assert_array_equal(read, points)


def test_pc2_is_little_endian_with_its_first_frame(tmp_path: Path, points: FloatArray) -> None:
    path = tmp_path / "a.pc2"
    write_pc2(path, iter(points), 5, 7, 12.0)
    data = path.read_bytes()
    assert struct.unpack("<12s2i2fi", data[:32]) == (b"POINTCACHE2\0", 1, 7, 12.0, 1.0, 5)
    np.testing.assert_array_equal(np.frombuffer(data[32:], "<f4").reshape(5, 7, 3), points)


@pytest.mark.parametrize("frames", [4, 6])
def test_a_wrong_number_of_frames_leaves_what_was_there(
    tmp_path: Path, points: FloatArray, frames: int
) -> None:
    path = tmp_path / "a.pc2"
    path.write_bytes(b"former")
    with pytest.raises(ValueError, match=rf"of {frames}"):
        write_pc2(path, iter(points), frames, 7, 1.0)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.pc2", b"former")]


def test_an_interruption_leaves_nothing(tmp_path: Path, points: FloatArray) -> None:
    def broken() -> Iterator[FloatArray]:
        yield points[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mdd(tmp_path / "a.mdd", broken(), 5, 7, 24.0)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_one_sentence(tmp_path: Path, points: FloatArray) -> None:
    with pytest.raises(OutputError, match="its folder is missing"):
        write_mdd(tmp_path / "absent" / "a.mdd", iter(points), 5, 7, 24.0)
