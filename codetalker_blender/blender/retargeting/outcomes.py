"""What was written onto an object, and the record of it beside its keys."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import bpy

from ..writing import keys


@dataclass(frozen=True)
class Outcome:
    """What was written.

    key_count: shape keys of ours, without the closing rest key, or keys of the animator's that are driven
    channel_count: curves of the rig's bones and custom properties
    error_mm: largest distance of a vertex from the tuned motion, on the model's own face; None for
        Per Frame, which has none
    rms_mm: root mean square of those distances; only for Existing Keys
    notes: sentences about what the animator should know, one per line
    max_error_mm: what was asked for
    start_frame, frame_count: where it plays
    regions: those that the model's face has; has_mid_lips: whether its mid-lips are marked
    fitted: whether a fit led a mesh of another topology
    settings: what the object's settings were
    """

    key_count: int
    channel_count: int
    error_mm: float | None
    rms_mm: float | None
    notes: str
    max_error_mm: float
    start_frame: float
    frame_count: int
    regions: tuple[str, ...]
    has_mid_lips: bool
    fitted: bool
    settings: str

    def __str__(self) -> str:
        written = f"{self.key_count} keys" if self.key_count or not self.channel_count else ""
        if self.channel_count:
            written += f"{' and ' if written else ''}{self.channel_count} curves of the rig"
        if self.error_mm is None:
            return written
        if self.rms_mm is not None:
            return f"{written}, which miss {self.rms_mm:.2f} mm RMS, {self.error_mm:.1f} mm at most"
        return f"{written}, at most {self.error_mm:.3f} mm off"

    @property
    def frames(self) -> range:
        """The scene's whole frames in which it plays."""
        first = math.floor(self.start_frame)
        return range(first, math.ceil(self.start_frame) + self.frame_count)

    @property
    def place(self) -> str:
        """Those frames in words."""
        return f"Frames {self.frames[0]} to {self.frames[-1]}"

    @property
    def warning(self) -> str | None:
        """A sentence when the error bound could not be kept, or keys could not follow."""
        notes = self.notes.replace("\n", " ") or None
        if self.rms_mm is not None or self.error_mm is None or self.error_mm <= self.max_error_mm:
            return notes
        return f"{notes} " * bool(notes) + (
            f"The error is {self.error_mm:.4f} mm where at most {self.max_error_mm:.4f} mm was asked for: "
            "it is as small as Blender's numbers allow."
        )


def outcome_of(obj: bpy.types.Object) -> Outcome | None:
    """What was written last, or None where nothing is or another version wrote it."""
    key = obj.data.shape_keys if isinstance(obj.data, bpy.types.Mesh) else None
    if key is None or key.get(keys.MARK) is None or keys.REPORT not in key[keys.MARK]:
        return None
    values = key[keys.MARK][keys.REPORT].to_dict()
    if set(values) != {item.name for item in fields(Outcome)}:
        return None
    values["regions"] = tuple(values["regions"].split())
    for name in ("has_mid_lips", "fitted"):
        values[name] = bool(values[name])
    for name in ("error_mm", "rms_mm"):
        values[name] = values[name] if values[name] >= 0 else None
    return Outcome(**values)


def report(obj: bpy.types.Object, outcome: Outcome) -> None:
    """Record the outcome; the inverse of :func:`outcome_of`.  Our mark must be there."""
    values = {**vars(outcome), "regions": " ".join(outcome.regions)}
    for name in ("has_mid_lips", "fitted"):
        values[name] = int(values[name])
    for name in ("error_mm", "rms_mm"):
        values[name] = -1.0 if values[name] is None else values[name]
    obj.data.shape_keys[keys.MARK][keys.REPORT] = values
