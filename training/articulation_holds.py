"""Which frames p, b, m keep the lips shut and f, v keep the lower lip at the teeth.

Lips close a little before the sound of a closure begins and stay shut through it, so a hold takes
the phone's own frames and one before, two at least; a vowel, or an f or v, keeps one frame.
Only numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.datasets.clip import Phone
from training.datasets.phones import BILABIALS, LABIODENTALS, VOWELS
from training.metrics import phone_frames

#: p and b burst open at their end: this share of the phone is shut.
_SHUT_SHARE = 0.85
#: A hold lasts so many frames where its neighbours leave room.
_LEAST_FRAMES = 2
_KEEP_ONE = VOWELS | LABIODENTALS

Indices = NDArray[np.int64]


class Holds:
    """Frames of one clip, both sorted and without a common one.

    closed: the lips are shut; contact: the lower lip is at the upper teeth
    """

    def __init__(self, phones: tuple[Phone, ...], fps: float, frames: int) -> None:
        self._fps, self._frames = fps, frames
        self._owner: dict[int, int] = {}
        self._left: dict[int, int] = {}
        for place, phone in enumerate(phones):
            if phone.label in _KEEP_ONE:
                own = phone_frames(phone, fps, frames).tolist()
                self._owner.update(dict.fromkeys(own, place))
                self._left[place] = len(own)
        self._closed: set[int] = set()
        for phone in phones:
            if phone.label in BILABIALS:
                share = 1.0 if phone.label == "m" else _SHUT_SHARE
                held = Phone(phone.label, phone.start_s, phone.start_s + share * phone.duration_s)
                self._closed |= self._held(held)
        contact: set[int] = set()
        for phone in phones:
            if phone.label in LABIODENTALS:
                contact |= self._held(phone) - self._closed
        self.closed: Indices = np.array(sorted(self._closed), np.int64)
        self.contact: Indices = np.array(sorted(contact), np.int64)

    def _held(self, phone: Phone) -> set[int]:
        """The phone's frames, the nearest one when it is shorter than a frame, and those before and after."""
        held = phone_frames(phone, self._fps, self._frames).tolist()
        if not held:
            middle = 0.5 * (phone.start_s + phone.end_s) * self._fps
            around = sorted(range(int(middle) - 1, int(middle) + 3), key=lambda frame: abs(frame - middle))
            inside = [frame for frame in around if 0 <= frame < self._frames]
            free = next((frame for frame in inside if self._take(frame)), None)
            held = inside[:1] if free is None else [free]
        if held and self._take(held[0] - 1):
            held.insert(0, held[0] - 1)
        if held and len(held) < _LEAST_FRAMES and self._take(held[-1] + 1):
            held.append(held[-1] + 1)
        return set(held)

    def _take(self, frame: int) -> bool:
        """May a hold have this frame?  If so it is gone for the phone that owns it."""
        if not 0 <= frame < self._frames:
            return False
        owner = self._owner.get(frame)
        if owner is None or frame in self._closed:
            return frame not in self._closed
        if self._left[owner] <= 1:
            return False
        self._left[owner] -= 1
        del self._owner[frame]
        return True
