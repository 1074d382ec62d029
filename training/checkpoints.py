"""A run's state as one safetensors file and back: tensors beside plain values, nothing pickled.

A checkpoint is written in a hidden folder and moved out when it is whole, so that a kill at any time
leaves the ones before it; a damaged newest file is passed over for the one before.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from codetalker_blender.errors import OutputError, UserError

logger = logging.getLogger(__name__)

#: Raised when a checkpoint's contents change their meaning.
CHECKPOINT_FORMAT = 1
_TENSOR = "$tensor"


class CheckpointError(UserError):
    """A checkpoint is unreadable or belongs to another run."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (dicts with string keys, lists, tensors, plain values), all or nothing.

    Raises OutputError when the disk does not take it.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps({"format": CHECKPOINT_FORMAT, "state": _without_tensors(state, "", tensors)})
    # a folder, because safetensors makes temporary files of its own; a killed run's are swept out too
    drafts = path.parent / ".draft"
    draft = drafts / path.name
    try:
        drafts.mkdir(parents=True, exist_ok=True)
        save_file(tensors, draft, metadata={"state": text})
        with draft.open("rb+") as stream:  # on the disk before the name says so, for a power cut too
            os.fsync(stream.fileno())
        draft.replace(path)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"The checkpoint '{path}' cannot be written: {getattr(error, 'strerror', None) or error}.",
            "Make room or choose another folder, then resume the run.",
        ) from error
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The inverse of :func:`write_checkpoint`; tensors come back on the CPU.  Raises CheckpointError."""
    try:
        with safe_open(path, "pt") as file:
            text = json.loads((file.metadata() or {})["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if text["format"] != CHECKPOINT_FORMAT:
            raise CheckpointError(
                f"The checkpoint '{path}' has format {text['format']}, "
                f"this version reads {CHECKPOINT_FORMAT}."
            )
        state: dict[str, Any] = _with_tensors(text["state"], tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"The checkpoint '{path}' cannot be read: {error}.") from error
    return state


def _without_tensors(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """``value`` with a reference in each tensor's place; the tensors go into ``tensors``."""
    if isinstance(value, Tensor):
        # a copy of its own: safetensors refuses tensors that share memory, as tied weights do
        tensors[place] = value.detach().to("cpu", copy=True).contiguous()
        return {_TENSOR: place}
    if isinstance(value, dict):
        if not all(isinstance(name, str) and not name.startswith("$") for name in value):
            raise TypeError(f"checkpoint: the keys of '{place}' are not plain names")
        return {name: _without_tensors(part, f"{place}/{name}", tensors) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(part, f"{place}/{index}", tensors) for index, part in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"checkpoint: '{place}' is a {type(value).__name__}, neither a tensor nor plain")


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of :func:`_without_tensors`, except that tuples come back as lists."""
    if isinstance(value, dict):
        if _TENSOR in value:
            return tensors[value[_TENSOR]]
        return {name: _with_tensors(part, tensors) for name, part in value.items()}
    return [_with_tensors(part, tensors) for part in value] if isinstance(value, list) else value


class CheckpointFolder:
    """One stage's checkpoints, ``step-00000500.safetensors``: after how many steps each was taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self) -> list[Path]:
        """The whole checkpoints, oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def save(self, step: int, state: dict[str, Any], keep: int = 2) -> None:
        """Write the checkpoint of ``step``, then remove all but the ``keep`` newest."""
        write_checkpoint(self.folder / f"step-{step:08d}.safetensors", state)
        for path in self.paths()[:-keep]:
            path.unlink(missing_ok=True)

    def newest(self) -> dict[str, Any] | None:
        """The newest state that can be read, None when there are no checkpoints.

        Raises CheckpointError when there are some and none can be read.
        """
        problem: CheckpointError | None = None
        for path in reversed(self.paths()):
            try:
                state = read_checkpoint(path)
            except CheckpointError as error:
                logger.warning("%s The one before it is tried.", error)
                problem = problem or error
            else:
                return state
        if problem is not None:
            raise problem
        return None
