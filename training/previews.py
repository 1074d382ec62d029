"""Pictures of a running training for TensorBoard: what it makes of one clip.

They change no weight and draw nothing by chance, so that a run with pictures is the run without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.engine.code_loop import CodeLoop, CodeSampler
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ

from .plots import codes_figure, view_of
from .run_folder import RunFolder

if TYPE_CHECKING:
    from .setup import Setup

#: Of the example clip.
SHOWN_S = 4.0
_MM = 1e3


class Previews:
    """Draws the data's first clip as the networks see it.  Every figure goes into the run's TensorBoard."""

    def __init__(self, face: FaceMesh, up_axis: str, setup: Setup, run: RunFolder) -> None:
        self._face, self._up_axis = face, up_axis
        self._setup, self._run = setup, run
        self._frames = round(SHOWN_S * setup.preset.speech.fps)

    @torch.inference_mode()
    def of_codebook(self, step: int) -> None:
        """The clip's reconstruction and the use of the codes."""
        codec = self._setup.codec
        _, motion = self._setup.sampler.example(self._frames)
        with _Still(codec):
            predicted, _, codes = codec(self._on_device(motion)[None])
        self._draw("codebook", motion, predicted[0], codes[0], step)

    @torch.inference_mode()
    def of_query(self, step: int) -> None:
        """The clip as it is generated from its sound alone, by nearest codes."""
        codec, query, encoder = self._setup.codec, self._setup.query, self._setup.encoder
        clip, motion = self._setup.sampler.example(self._frames)
        samples = torch.from_numpy(clip.waveform.samples[: round(SHOWN_S * SAMPLE_RATE_HZ)])
        style = torch.zeros(1, 1, query.config.styles)
        style[0, 0, clip.style] = 1.0
        with _Still(codec, query, encoder):
            speech = encoder.features(self._on_device(samples.numpy()))
            loop = CodeLoop(codec, query, speech, style.to(speech.device), CodeSampler(0.0, 0))
            codes = torch.stack([loop.step()[0][0] for _ in range(loop.steps)])
            predicted = codec.decode(codes[None])[0]
        self._draw("query", motion, predicted, codes, step)

    def _on_device(self, values: FloatArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._run.processes.device)

    def _draw(self, stage: str, motion: FloatArray, predicted: Tensor, codes: Tensor, step: int) -> None:
        wanted = self._offsets(self._on_device(motion))
        got = self._offsets(predicted.float())
        fps = self._setup.preset.speech.fps
        chosen = codes.cpu().numpy().astype(np.int32)
        figures = {
            "opening": opening_figure(self._face, wanted, got, fps),
            "error": error_figure(self._face, self._up_axis, wanted, got),
            "codes": codes_figure(chosen, self._setup.codec.config.code_count, f"{stage}, step {step}"),
        }
        for name, figure in figures.items():
            self._run.picture(f"{stage}/{name}", pixels(figure), step)

    def _offsets(self, motion: Tensor) -> FloatArray:
        """(T, D) of the networks -> (T, V, 3) metres."""
        offsets = self._setup.codec.to_offsets(motion) / self._setup.units_per_metre
        return np.asarray(offsets.unflatten(-1, (-1, 3)).cpu().numpy(), np.float32)


class _Still:
    """Networks in evaluation mode for a while, and then as they were."""

    def __init__(self, *networks: nn.Module) -> None:
        self._modes = {module: module.training for network in networks for module in network.modules()}
        self._networks = networks

    def __enter__(self) -> None:
        for network in self._networks:
            network.eval()

    def __exit__(self, *error: object) -> None:
        for module, mode in self._modes.items():
            module.training = mode


def mouth_curve(face: FaceMesh, offsets: FloatArray) -> tuple[FloatArray, str]:
    """(T,) mm and its name: mid-lip distance, or mean vertex offset where the face has no mid-lips."""
    if len(face.mid_lips):
        lips = face.vertices[face.mid_lips] + offsets[:, face.mid_lips]
        return np.linalg.norm(lips[:, 0] - lips[:, 1], axis=-1) * _MM, "mouth opening, mm"
    return np.linalg.norm(offsets, axis=-1).mean(axis=1) * _MM, "mean offset, mm"


def opening_figure(face: FaceMesh, wanted: FloatArray, got: FloatArray, fps: float) -> Figure:
    """Truth and prediction over time."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    for offsets, label, colour in ((wanted, "truth", "#222222"), (got, "prediction", "#d1495b")):
        curve, name = mouth_curve(face, offsets)
        axes.plot(np.arange(len(curve)) / fps, curve, label=label, color=colour)
        axes.set(xlabel="time, s", ylabel=name)
    axes.legend(frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def error_figure(face: FaceMesh, up_axis: str, wanted: FloatArray, got: FloatArray) -> Figure:
    """Mean distance of every vertex from the truth, seen from the front."""
    frames = min(len(wanted), len(got))
    error = np.linalg.norm(got[:frames] - wanted[:frames], axis=-1).mean(axis=0) * _MM
    view = view_of(face, up_axis, 0.0)
    colour = ScalarMappable(Normalize(0.0, max(float(error.max()), 1e-6)), "magma_r")
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    order = np.argsort(view.depth)
    axes.scatter(*view.points[order].T, c=colour.to_rgba(error[order]), s=6)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(f"mean error {error.mean():.2f} mm")
    figure.colorbar(colour, ax=axes, label="mm", shrink=0.8)
    return figure


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """(height, width, 3) RGB."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), np.uint8)[..., :3].copy()
