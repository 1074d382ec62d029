"""The libraries and the device of this Python, as text for a report."""

from __future__ import annotations

import platform

import numpy
import safetensors
import soundfile
import torch
import transformers

from ..contracts import EngineFacts
from .devices import choose_device


def engine_facts(device: str) -> EngineFacts:
    """What there is, and what ``device`` ("auto", "cpu", ...) comes to.  Raises EngineError."""
    chosen = choose_device(device).type
    libraries = (torch, transformers, soundfile, safetensors, numpy)
    return EngineFacts(
        python=platform.python_version(),
        versions={library.__name__: str(library.__version__) for library in libraries},
        device=chosen,
        device_name=torch.cuda.get_device_name() if chosen == "cuda" else "",
        torch_build=_build(),
    )


def _build() -> str:
    """What this torch was built for; the same release comes in several builds."""
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    return "Metal" if torch.backends.mps.is_built() else "CPU"
