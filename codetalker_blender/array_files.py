"""Named arrays ⇄ an uncompressed .npz.  Written to a temporary name and renamed: all of it or nothing.

Arrays need not fit into memory: they may be written piece by piece, and the largest are mapped
from the file instead of read.  Standard library and numpy only.
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

from .disk import explained, new_file, refuse_full
from .errors import UserError

#: Arrays above this size are mapped from the file, if it is uncompressed, instead of read.
MAPPED_ABOVE_BYTES = 2**30

#: In the file, too, arrays start where numpy wants them: of one that does not, many operations make a copy.
_ALIGNMENT_BYTES = 64
#: A zip member's own header ends with the lengths of its name and of its extra part, which follow.
#: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.7 and 4.5
_MEMBER_HEADER = struct.Struct("<26xHH")
_ZIP64_EXTRA_BYTES = 20
#: A field of the extra part: its kind and length; this kind is zipalign's padding.
_EXTRA_FIELD = struct.Struct("<HH")
_PADDING = 0xD935

_SHORTER = "Free some space, or choose a shorter range of the sound or fewer frames per second."

#: What numpy and zipfile raise for files that are damaged, encrypted or something else altogether.
_UNREADABLE = (
    *(OSError, ValueError, EOFError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of an .npz, never unpickling.  Raises UserError.

    Those above MAPPED_ABOVE_BYTES are mapped: read-only, their checksum is not looked at, and the file must
    not be written to while they are used (POSIX lets it be deleted or replaced).
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is one array, not an archive of arrays")
            return {name: _read(path, archive, name) for name in archive.files}
    except _UNREADABLE as error:
        raise UserError(f"'{path}' cannot be read as an .npz of arrays: {error}.") from error


def _read(path: Path, archive: np.lib.npyio.NpzFile, name: str) -> NDArray[np.generic]:
    """Raises one of _UNREADABLE."""
    files: zipfile.ZipFile = archive.zip
    member = files.NameToInfo.get(f"{name}.npy")
    if member and member.file_size > MAPPED_ABOVE_BYTES and member.compress_type == zipfile.ZIP_STORED:
        return _mapped(path, files, member)
    array = archive[name]
    if not isinstance(array, np.ndarray):  # numpy hands out other files as bytes
        raise ValueError(f"'{name}' is no array")
    return array


def _mapped(path: Path, files: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    """An array of an uncompressed member, as a window on the file.  Raises one of _UNREADABLE."""
    with files.open(member) as stream:
        version = npy.read_magic(stream)  # type: ignore[no-untyped-call]
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"'{member.filename}' has version {version} of the .npy format")
        shape, fortran_order, dtype = readers[version](stream)  # type: ignore[no-untyped-call]
        header_bytes = stream.tell()
    if dtype.hasobject or header_bytes + math.prod(shape) * dtype.itemsize != member.file_size:
        raise ValueError(f"'{member.filename}' does not hold {shape} numbers of {dtype}")
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name_bytes, extra_bytes = _MEMBER_HEADER.unpack(file.read(_MEMBER_HEADER.size))
        first = file.tell() + name_bytes + extra_bytes + header_bytes
        return np.memmap(file, dtype, "r", first, shape, "F" if fortran_order else "C")


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write an uncompressed .npz, all of it or nothing.  Raises OutputError."""
    with NewArchive(path) as archive:
        for name, value in arrays.items():
            archive.write(name, value)


class NewArchive:
    """An uncompressed .npz that is being written: a context manager.

    When its ``with`` block ends, it takes the place of ``path``; if with an error, nothing of it is left.
    Every method raises OutputError when the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None  # of the array that is being written

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            draft = stack.enter_context(new_file(self._path))
            with explained(self._path):
                self._file = draft.open("xb")
            stack.callback(self._close_all)
            self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)
            self._end = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._end:
            if error is not None:
                raise error
            with explained(self._path):
                self._close()

    def write(self, name: str, value: ArrayLike) -> None:
        """Add a whole array."""
        with explained(self._path):
            npy.write_array(self._begin(name), np.asanyarray(value), allow_pickle=False)  # type: ignore[no-untyped-call]

    def begin(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Add an array whose elements come by :meth:`append`; refused at once if the disk cannot hold it."""
        with explained(self._path):
            refuse_full(self._path, math.prod(shape) * dtype.itemsize, _SHORTER)
            header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}  # type: ignore[no-untyped-call]
            npy.write_array_header_1_0(self._begin(name), header)  # type: ignore[no-untyped-call]

    def append(self, elements: NDArray[Any]) -> None:
        """The next elements, in C order, of the array begun last; their type and number are the caller's."""
        assert self._stream is not None  # begin() was called
        with explained(self._path):
            self._stream.write(np.ascontiguousarray(elements).data)

    def _begin(self, name: str) -> IO[bytes]:
        """The file of a new array, placed so that its first element is aligned."""
        if self._stream is not None:
            self._stream.close()
        member = zipfile.ZipInfo(f"{name}.npy")
        head = _MEMBER_HEADER.size + len(member.filename.encode()) + _EXTRA_FIELD.size + _ZIP64_EXTRA_BYTES
        padding = -(self._file.tell() + head) % _ALIGNMENT_BYTES
        member.extra = _EXTRA_FIELD.pack(_PADDING, padding) + bytes(padding)
        self._stream = self._zip.open(member, "w", force_zip64=True)
        return self._stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._zip.close()
        self._file.close()

    def _close_all(self) -> None:
        """Whatever happened; after a success there is nothing to do."""
        for part in (self._stream, self._zip, self._file):
            if part is not None:
                with suppress(OSError, ValueError):  # each would write once more, perhaps to a full disk
                    part.close()
