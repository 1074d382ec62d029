"""Where the motion to be scored comes from: a bundle that generates it, or files that hold it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codetalker_blender.contracts import FloatArray
from codetalker_blender.engine.bundle import Bundle, load_bundle
from codetalker_blender.engine.generate import generate
from codetalker_blender.errors import UserError
from codetalker_blender.motion_files import read_motion
from training.datasets.clip import RECORDED_TOLERANCE_S, Clip, Dataset, map_positions
from training.score_clip import Prediction

SUFFIXES = (".npy", ".npz")
#: Clips named in a message before "and N more".
_NAMED = 3


class BundlePredictor:
    """Generates each clip from its sound and style with a bundle's whole street."""

    def __init__(
        self,
        bundle: Bundle,
        styles: Sequence[str],
        device: str,
        *,
        temperature: float | None = None,
        seed: int = 0,
        style: str | None = None,
    ) -> None:
        """styles: the data set's, by style row; style: the bundle's style for all clips, not their own.

        temperature: None takes the bundle's default.  Raises BundleError when there is no such style.
        """
        self.bundle, self.device, self.seed = bundle, device, seed
        self.temperature = bundle.card.temperature if temperature is None else temperature
        self._styles = tuple(styles) if style is None else (style,) * len(styles)
        if style is not None:
            bundle.card.style_row(style)

    def __call__(self, clip: Clip) -> Prediction:
        """Raises UserError when the model does not fit the clip."""
        return self._generate(clip, self._row(clip), self.seed)

    def of_seed(self, clip: Clip, number: int) -> Prediction:
        """Sample ``number`` of a clip: the same style, another seed."""
        return self._generate(clip, self._row(clip), self.seed + number)

    def of_style(self, clip: Clip, number: int) -> Prediction:
        """Sample ``number`` of a clip: the same seed, the bundle's style in row ``number``."""
        return self._generate(clip, number, self.seed)

    def check(self, dataset: Dataset, clips: Sequence[Clip]) -> None:
        """Refuse before minutes of work what :meth:`__call__` would refuse.  Raises UserError."""
        count, wanted = self.bundle.face.vertex_count, dataset.face.vertex_count
        if count != wanted:
            raise UserError(
                f"The model '{self.bundle.card.name}' moves {count} vertices where the data set's head has "
                f"{wanted}.",
                "Score a model on the head it was trained on.",
            )
        for clip in clips:
            self._row(clip)
            self._check_rate(clip)

    def _row(self, clip: Clip) -> int:
        return self.bundle.card.style_row(self._styles[clip.style])

    def _check_rate(self, clip: Clip) -> None:
        fps = self.bundle.card.fps
        if fps != clip.fps:
            raise UserError(
                f"The model runs at {fps:g} frames per second where clip '{clip.name}' has {clip.fps:g}."
            )

    def _generate(self, clip: Clip, row: int, seed: int) -> Prediction:
        self._check_rate(clip)
        style = np.zeros((1, len(self.bundle.card.styles)), np.float32)
        style[0, row] = 1.0
        motion = generate(
            self.bundle, clip.waveform, style, device=self.device, temperature=self.temperature, seed=seed
        )
        return Prediction(motion.offsets, motion.codes, self.bundle.codec.config.code_count)


def bundle_predictor(folder: Path, styles: Sequence[str], device: str) -> BundlePredictor:
    """The predictor of the bundle in ``folder`` at its own temperature; see :class:`BundlePredictor`.

    Raises BundleError when it cannot be loaded.
    """
    return BundlePredictor(load_bundle(folder), styles, device)


class FolderPredictor:
    """Reads each clip's motion from a file of its name.

    NAME.npy holds (T, V, 3) or (T, 3V) floats in the units of the data set's files, NAME.npz is one of
    our motion files (metres).  Both may hold offsets from the speaker's template or positions: what
    lies nearer to the template than to zero is positions.
    """

    def __init__(self, folder: Path, dataset: Dataset, clips: Sequence[Clip]) -> None:
        """Raises UserError when a clip of ``clips`` has no file, or two."""
        if not folder.is_dir():
            raise UserError(f"There is no folder '{folder}'.", "Give the folder of the predictions.")
        self._folder, self._dataset = folder, dataset
        found = {clip.name: self._files(clip) for clip in clips}
        missing = [name for name, files in found.items() if not files]
        if missing:
            named = ", ".join(missing[:_NAMED]) + (
                f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            )
            raise UserError(
                f"'{folder}' holds no prediction of {len(missing)} of {len(clips)} clips: {named}.",
                "Each clip needs a file of its name that ends in .npy or .npz.",
            )
        twice = [name for name, files in found.items() if len(files) > 1]
        if twice:
            raise UserError(f"'{folder}' holds both {twice[0]}.npy and {twice[0]}.npz.", "Keep one of them.")

    def _files(self, clip: Clip) -> list[Path]:
        paths = (self._folder / f"{clip.name}{suffix}" for suffix in SUFFIXES)
        return [path for path in paths if path.is_file()]

    def __call__(self, clip: Clip) -> Prediction:
        """Raises UserError when the file is unreadable, of another head or of another frame rate."""
        path = self._files(clip)[0]
        template = self._dataset.template(clip)
        if path.suffix == ".npz":
            motion = read_motion(path)
            if motion.fps != clip.fps:
                raise UserError(
                    f"'{path}' runs at {motion.fps:g} frames per second where the clip has {clip.fps:g}."
                )
            if motion.offsets.shape[1] != len(template):
                raise UserError(
                    f"'{path}' moves {motion.offsets.shape[1]} vertices where the data set's head has "
                    f"{len(template)}."
                )
            frames, codes = motion.offsets, motion.codes if motion.codes.size else None
        else:
            stored = map_positions(path, len(template)).reshape(-1, *template.shape)
            frames = np.asarray(stored / self._dataset.units_per_metre, np.float32)
            codes = None
        if not np.isfinite(frames).all():
            raise UserError(f"'{path}' holds values that are not finite.")
        self._check_length(path, clip, len(frames))
        return Prediction(_as_offsets(frames, template), codes)

    def _check_length(self, path: Path, clip: Clip, frames: int) -> None:
        """An .npy does not tell its frame rate, but a wrong one makes it last longer or shorter."""
        lasts_s = frames / clip.fps
        gaps = (abs(lasts_s - clip.frame_count / clip.fps), abs(lasts_s - clip.waveform.duration_s))
        if min(gaps) > RECORDED_TOLERANCE_S:
            raise UserError(
                f"'{path}' has {frames} frames where the clip has {clip.frame_count} at {clip.fps:g} per "
                "second.",
                f"Predictions must run at {clip.fps:g} frames per second.",
            )


def _as_offsets(frames: FloatArray, template: FloatArray) -> FloatArray:
    """Offsets (T, V, 3) from offsets or positions, metres."""
    moved = frames - template
    nearer = float(np.square(moved).mean()) < float(np.square(frames).mean())
    return moved if nearer else frames
