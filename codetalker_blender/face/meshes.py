"""Mesh files → vertices and triangles: .ply (ascii, both binary orders) and .obj.

Small and strict: positions and faces are read, everything else in the file is passed over; polygons
are split as fans from their first corner.  Numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import FloatArray, IntArray
from ..errors import UserError

_PLY_NUMBERS = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_PLY_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class Mesh:
    """A mesh as its file has it.

    vertices: (V, 3) float32 in the file's units and axes
    triangles: (F, 3) int32, (0, 3) when the file has no faces
    """

    vertices: FloatArray
    triangles: IntArray


def read_mesh(path: Path) -> Mesh:
    """A .ply or .obj file.  Raises UserError."""
    readers = {".ply": _read_ply, ".obj": _read_obj}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"'{path}' is neither a .ply nor an .obj file.", "Convert the mesh to one of them.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    try:
        vertices, polygons = reader(content)
        triangles = _fans(polygons)
    except (ValueError, LookupError, OverflowError, MemoryError) as error:
        raise UserError(f"'{path}' is no readable {path.suffix.lower()} mesh: {error}.") from error
    if not len(vertices) or not np.isfinite(vertices).all():
        raise UserError(f"'{path}' holds {len(vertices)} vertices, or positions that are no finite numbers.")
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise UserError(
            f"'{path}' is broken: its faces point at vertices {int(triangles.min())} to "
            f"{int(triangles.max())} but it has {len(vertices)}."
        )
    return Mesh(vertices.astype(np.float32), triangles.astype(np.int32))


def _fans(polygons: list[list[int]]) -> NDArray[np.int64]:
    """Polygons' corners -> (F, 3) triangles, each polygon a fan from its first corner."""
    rows = [(p[0], p[k], p[k + 1]) for p in polygons for k in range(1, len(p) - 1)]
    return np.array(rows, np.int64).reshape(-1, 3)


# -- .obj ----------------------------------------------------------------------------------------


def _read_obj(content: bytes) -> tuple[NDArray[np.float64], list[list[int]]]:
    vertices: list[list[float]] = []
    polygons: list[list[int]] = []
    text = content.decode("utf-8", errors="replace").replace("\\\n", " ")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            if words[0] == "v":
                vertices.append([float(word) for word in words[1:4]])
                if len(vertices[-1]) != 3:
                    raise ValueError
            elif words[0] == "f":
                # "7", "7/1", "7/1/3", "7//3"; negative numbers count back from the newest vertex
                corners = [int(word.split("/", 1)[0]) for word in words[1:]]
                if len(corners) < 3 or 0 in corners:
                    raise ValueError
                polygons.append([c - 1 if c > 0 else len(vertices) + c for c in corners])
        except ValueError as error:
            raise ValueError(f"line {number} reads '{line.strip()[:60]}'") from error
    return np.array(vertices, np.float64).reshape(-1, 3), polygons


# -- .ply ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Property:
    """One column of a .ply element; ``count_type`` is set when each row holds a list."""

    name: str
    type: str
    count_type: str | None = None


@dataclass
class _Element:
    name: str
    rows: int
    properties: list[_Property]


def _read_ply(content: bytes) -> tuple[NDArray[np.float64], list[list[int]]]:
    order, elements, start = _ply_header(content)
    values = (
        _ascii_values(content[start:], elements)
        if not order
        else _binary_values(content, start, order, elements)
    )
    vertices = np.zeros((0, 3))
    polygons: list[list[int]] = []
    for element, columns in zip(elements, values, strict=True):
        if element.name == "vertex":
            vertices = np.stack([np.asarray(columns[axis], np.float64) for axis in "xyz"], axis=-1)
        elif element.name == "face":
            lists = columns.get("vertex_indices", columns.get("vertex_index", []))
            polygons = [[int(corner) for corner in row] for row in lists]
            if any(len(row) < 3 for row in polygons):
                raise ValueError("a face has fewer than 3 corners")
    return vertices, polygons


def _ply_header(content: bytes) -> tuple[str, list[_Element], int]:
    """Byte order ("" = ascii), elements, and where the data begins."""
    mark = b"end_header"
    end = content.find(mark)
    if not content.startswith(b"ply") or end < 0:
        raise ValueError("it has no .ply header")
    start = content.find(b"\n", end) + 1
    if not start:
        raise ValueError("it ends with its header")
    order: str | None = None
    elements: list[_Element] = []
    for line in content[:end].decode("ascii", errors="replace").splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) == 3 and words[1] in _PLY_ORDERS:
            order = _PLY_ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and words[2].isdigit():
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[0] == "property" and elements and len(words) == 3 and words[1] in _PLY_NUMBERS:
            elements[-1].properties.append(_Property(words[2], _PLY_NUMBERS[words[1]]))
        elif words[0] == "property" and elements and len(words) == 5 and words[1] == "list":
            kinds = _PLY_NUMBERS[words[3]], _PLY_NUMBERS[words[2]]
            elements[-1].properties.append(_Property(words[4], *kinds))
        else:
            raise ValueError(f"its header says '{line.strip()[:60]}'")
    if order is None:
        raise ValueError("its header names no known format")
    return order, elements, start


#: property -> one value per row, or one list per row
_Columns = dict[str, list[Any]]
#: number(type): the next number of the data
_NextNumber = Callable[[str], float]


def _ascii_values(body: bytes, elements: list[_Element]) -> list[_Columns]:
    words: Iterator[str] = iter(body.decode("ascii", errors="replace").split())

    def number(_type: str) -> float:
        word = next(words, None)
        if word is None:
            raise ValueError("it ends early")
        return float(word)

    return [_rows(element, number) for element in elements]


def _binary_values(content: bytes, start: int, order: str, elements: list[_Element]) -> list[_Columns]:
    place = start
    result: list[_Columns] = []

    def number(kind: str) -> float:
        nonlocal place
        value = np.frombuffer(content, order + kind, 1, place)[0]
        place += int(kind[1])
        return float(value)

    for element in elements:
        if any(item.count_type for item in element.properties):
            result.append(_rows(element, number))
            continue
        # rows of equal size are read at once
        form = np.dtype([(item.name, order + item.type) for item in element.properties])
        table = np.frombuffer(content, form, element.rows, place)
        place += table.nbytes
        result.append({item.name: table[item.name].tolist() for item in element.properties})
    return result


def _rows(element: _Element, number: _NextNumber) -> _Columns:
    """Read an element row by row."""
    columns: _Columns = {item.name: [] for item in element.properties}
    for _ in range(element.rows):
        for item in element.properties:
            if item.count_type is None:
                columns[item.name].append(number(item.type))
                continue
            count = number(item.count_type)
            if count < 0 or count != int(count):
                raise ValueError(f"a list of '{item.name}' has {count:g} entries")
            columns[item.name].append([number(item.type) for _ in range(int(count))])
    return columns
