"""Where every random generator stands, as plain values and tensors, and back again.

A resumed run draws what the uninterrupted one would have drawn.  Nothing is pickled;
the inverse of each function that reads stands beside it.
"""

from __future__ import annotations

import random
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor


@runtime_checkable
class HasState(Protocol):
    """Anything that knows its state as plain values, tensors, and dicts and lists of them."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> object: ...


#: What a stage may hand in to be saved and restored with its networks.
Stateful = HasState | torch.Generator | np.random.Generator


def state_of(thing: Stateful) -> dict[str, Any]:
    """The state of a generator, or of an object that knows its own."""
    if isinstance(thing, torch.Generator):
        return {"torch": thing.get_state()}
    if isinstance(thing, np.random.Generator):
        return {"numpy": _plain(dict(thing.bit_generator.state))}
    return dict(thing.state_dict())


def restore(thing: Stateful, state: dict[str, Any]) -> None:
    """The inverse of :func:`state_of`, in place."""
    if isinstance(thing, torch.Generator):
        thing.set_state(state["torch"])
    elif isinstance(thing, np.random.Generator):
        thing.bit_generator.state = state["numpy"]
    else:
        thing.load_state_dict(state)


def _plain(value: Any) -> Any:
    """numpy's state with its arrays as lists; its bit generators take both."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def global_states(device: torch.device) -> dict[str, Any]:
    """The generators that code draws from without naming one: Python's, numpy's, torch's (dropout)."""
    version, numbers, gauss = random.getstate()
    kind, words, position, has_gauss, cached = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": [version, torch.tensor(numbers), gauss],
        "numpy": [kind, torch.from_numpy(np.asarray(words).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
    }
    if device.type != "cpu":
        state["device"] = _device_module(device).get_rng_state(device)
    return state


def restore_global_states(state: dict[str, Any], device: torch.device) -> None:
    """The inverse of :func:`global_states`."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    kind, words, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, words.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    numbers_of_device: Tensor | None = state.get("device")
    if device.type != "cpu" and numbers_of_device is not None:
        _device_module(device).set_rng_state(numbers_of_device, device)


def _device_module(device: torch.device) -> Any:
    """torch.cuda, torch.xpu ...: every one has get_rng_state and set_rng_state."""
    return torch.get_device_module(device)
