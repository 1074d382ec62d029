"""Foreign pickles → numpy arrays and plain containers, and nothing else.

The data sets hand their templates and masks out as pickles, often written by Python 2.  A pickle may
name any function to call; here only five names are known, each stands for a function of this file
that can do no more than hold bytes, a shape and a number format, and anything else is refused
before it is even looked up.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError

#: Number formats that an array may have: booleans, integers, floats; kind and size.
_FORMATS = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"b1", "f2", "f4", "f8"}
#: Numbers, texts, arrays and containers in one file: the data sets' own have some ten thousands.
_MAX_ITEMS = 1_000_000
_MALFORMED = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    MemoryError,
    RecursionError,
)


class _Format:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: object = "", *_: object) -> None:
        if code not in _FORMATS:
            raise pickle.UnpicklingError(f"arrays of {code!r:.40}")
        self.code = str(code)
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        # (version, byte order, then what only structured formats have)
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("an array format with an odd state")
        self.order = "<" if state[1] in "|=" else state[1]

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Array:
    """Stands in for an array until its bytes are known."""

    value: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("an array with an odd state")
        _, shape, form, fortran, content = state
        self.value = _filled(content, form, shape, "F" if fortran else "C")


def _filled(content: object, form: object, shape: object, order: str) -> np.ndarray[Any, Any]:
    if isinstance(content, str):
        content = content.encode("latin1")  # what Python 2 wrote as str
    if not isinstance(content, bytes | bytearray) or not isinstance(form, _Format):
        raise pickle.UnpicklingError("an array without plain bytes")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise pickle.UnpicklingError("an array with an odd shape")
    flat = np.frombuffer(content, form.numpy())
    return flat.reshape(shape, order="F" if order == "F" else "C").copy()


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(content: object, form: object, shape: object, order: object = "C") -> _Array:
    array = _Array()
    array.value = _filled(content, form, shape, str(order))
    return array


def _scalar(form: object, content: object) -> Any:
    return _filled(content, form, (), "C").item()


def _encode(text: str, _: str = "latin1") -> bytes:
    # Python 3 writes bytes this way into old protocols, always as latin1
    return text.encode("latin1")


def _array_type(*_: object) -> None:
    raise pickle.UnpicklingError("a call of ndarray")


_CORES = ("numpy.core", "numpy._core")
_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Format,
    ("numpy", "ndarray"): _array_type,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): dict,
    **{(f"{core}.multiarray", "_reconstruct"): _reconstruct for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in _CORES},
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        known = _KNOWN.get((module_name, global_name))
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}".replace("\n", " ")[:120])
        return known


def read_plain_pickle(path: Path) -> Any:
    """What ``path`` holds: arrays, numbers, text, lists, tuples and dictionaries; nothing is executed.

    Text of Python 2 is read as latin1.  Raises UserError.
    """
    try:
        with path.open("rb") as stream:
            return _Copy().of(_PlainUnpickler(stream, encoding="latin1").load())
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    except _MALFORMED as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise UserError(
            f"'{path}' is not a pickle of plain arrays and was refused "
            f"without running anything in it: {reason}.",
            "Save its arrays as .npy files, or take the file from the data set's own site.",
        ) from error


class _Copy:
    """The same containers with arrays in their stand-ins' place.

    A list that holds another one twice, and that one another twice, and so on, is small in the file
    and endless in a copy; so the items are counted, each as often as it is reached.
    """

    def __init__(self) -> None:
        self._items = 0

    def of(self, value: Any) -> Any:
        """The copy of ``value``.  Raises UnpicklingError."""
        self._items += 1
        if self._items > _MAX_ITEMS:
            raise pickle.UnpicklingError(f"it holds more than {_MAX_ITEMS:,} items")
        if isinstance(value, _Array):
            if value.value is None:
                raise pickle.UnpicklingError("an array without content")
            return value.value
        if isinstance(value, dict):
            return {self.of(key): self.of(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return type(value)(self.of(item) for item in value)
        if value is None or isinstance(value, bool | int | float | complex | str | bytes | bytearray):
            return value
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
