"""Names on the command line → what to measure.  Standard library only: the parent process loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: What ``--rows`` may name; ``tiny`` takes seconds and shows that the benchmark itself works.
NAMES = ("default", "vocaset", "biwi", "speech", "fast", "lengths", "hour", "batch", "retarget", "tiny")
USUAL = ("default", "vocaset", "biwi", "speech")
#: What ``--profile`` may name.
PROFILED = ("vocaset", "biwi", "half", "tiny")
HALF_LENGTHS_S = (20.0, 60.0, 300.0)
DEFAULT_LENGTHS_S = (10.0, 60.0, 600.0)
DEFAULT_S, HOUR_S, RETARGET_S, TINY_S = 60.0, 3600.0, 30.0, 4.0
CLIP_COUNT, CLIP_S = 200, 3.0


@dataclass(frozen=True)
class Request:
    """One row to measure.

    kind: "codes" (plain loop and the engine's), "precision" (the engine's loop exact and fast), "sound"
        (a whole bundle, sound to offsets), "file" (a whole bundle into a file), "speech" (the encoder),
        "batch" (CLIP_COUNT clips by the batch command, and by nothing but the engine),
        "bind", "apply", "solve" (motion to other meshes and shapes)
    size: a name of ``sizes.py``, "default" for the shipped bundle, or what a motion is carried to
    seconds: of a clip, of sound or of noise in place of speech features
    device: as torch names it
    """

    kind: str
    size: str
    seconds: float
    device: str = "cpu"

    @property
    def label(self) -> str:
        return f"{self.size} fast" if self.kind == "precision" else self.size


def expand(names: Sequence[str], seconds: float, device: str = "cpu") -> list[Request]:
    """The rows of some NAMES, in their order.  seconds: of the official sizes and the speech encoder."""
    rows = {
        "default": [("sound", "default", DEFAULT_S)],
        "vocaset": [("codes", "vocaset", seconds)],
        "biwi": [("codes", "biwi", seconds)],
        "speech": [("speech", "wav2vec2-base", seconds)],
        "fast": [("precision", size, seconds) for size in ("vocaset", "biwi")],
        "lengths": [
            *(("sound", "half", length) for length in HALF_LENGTHS_S),
            *(("sound", "default", length) for length in DEFAULT_LENGTHS_S),
        ],
        "hour": [("file", "default", HOUR_S)],
        "batch": [("batch", "default", CLIP_S)],
        "retarget": [
            ("bind", "bind 19,000", RETARGET_S),
            ("apply", "apply to 19,000", RETARGET_S),
            ("solve", "ARKit solve", RETARGET_S),
        ],
        "tiny": [("codes", "tiny", TINY_S)],
    }
    return [Request(kind, size, length, device) for name in names for kind, size, length in rows[name]]
