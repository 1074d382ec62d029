"""Which device a model runs on, and what to do when it fails."""

from __future__ import annotations

import torch

from ..errors import EngineError


def choose_device(name: str) -> torch.device:
    """The device called ``name``; "auto" takes CUDA, then MPS, then the CPU.  Raises EngineError."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    if name not in there:
        raise EngineError(f"There is no device called '{name}'.", "Choose auto, cpu, cuda or mps.")
    if not there[name]:
        raise EngineError(
            f"The device '{name}' is not available to torch {torch.__version__} on this machine.",
            "Choose auto or cpu.",
        )
    return torch.device(name)


def is_devices_fault(error: Exception, device: torch.device) -> bool:
    """Whether the CPU may do what ``device`` failed at: its memory is full, or it lacks a kernel."""
    if device.type == "cpu":
        return False
    if isinstance(error, (torch.OutOfMemoryError, NotImplementedError)):
        return True
    # MPS raises plain RuntimeErrors, and so does CUDA for a card that it has no code for
    words = (
        *("out of memory", "no kernel image", "not implemented", "not currently supported"),
        *("not linked with support", "cuda error"),
    )
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
