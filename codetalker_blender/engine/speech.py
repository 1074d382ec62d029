"""wav2vec 2.0: sound → features aligned to motion frames.

Turns a 16 kHz waveform into (frames * speech_frames, channels).  The network is transformers'
``Wav2Vec2Model``; ours is the alignment, which CodeTalker does between its convolutions and its
transformer, and the chunked form on an absolute grid that makes streamed equal whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from .config_checks import check_divides, check_numbers
from .log_mel import SAMPLE_RATE_HZ as SAMPLE_RATE_HZ  # as: part of this module's interface too
from .log_mel import WINDOW, MelFrontEnd
from .long_speech import EXACT_S, long_features

#: The convolutions' product of strides, and their receptive field less one stride.
HOP, RECEPTIVE = 320, 400
FRAME_RATE_HZ = SAMPLE_RATE_HZ // HOP
#: Nominal level of speech that "fixed" levelling divides by.
NOMINAL_RMS = 0.1


@dataclass(frozen=True)
class SpeechConfig:
    """Sizes of wav2vec 2.0 and how its frames meet the motion's.  Defaults: wav2vec2-base, VOCASET.

    front_end: "conv": wav2vec 2.0's seven convolutions on raw sound; "log_mel": log-mel spectra and two
        small convolutions, for encoders that are trained from scratch on little speech
    mel_bins: of the log-mel spectra
    conv_dim, feature_norm: of the convolutions ("group" as the base model, "layer" as streamable)
    hidden, layers, heads, mlp, position_kernel, position_groups: of the transformer
    fps: motion frames per second
    speech_frames: speech frames per motion frame.  1: resampled linearly to the motion's rate;
        2: the 50 Hz frames are kept, two to a motion frame (BIWI at 25 fps)
    level: "utterance": zero mean and unit variance over the whole clip; "fixed": nominal level
    level_eps: 1e-5 is what the official weights were trained with (transformers now uses 1e-7)
    chunk_s, context_s: > 0 runs the encoder on chunks of an absolute grid with context on both sides
    mask_probability, mask_length, mask_min: time masking in training
    """

    front_end: str = "conv"
    mel_bins: int = 64
    conv_dim: int = 512
    feature_norm: str = "group"
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    mlp: int = 3072
    position_kernel: int = 128
    position_groups: int = 16
    fps: float = 30.0
    speech_frames: int = 1
    level: str = "utterance"
    level_eps: float = 1e-5
    chunk_s: float = 0.0
    context_s: float = 0.0
    dropout: float = 0.1
    mask_probability: float = 0.05
    mask_length: int = 10
    mask_min: int = 2

    def __post_init__(self) -> None:
        check_numbers(
            self,
            positive=(
                *(
                    "mel_bins",
                    "conv_dim",
                    "hidden",
                    "heads",
                    "mlp",
                    "position_kernel",
                    "position_groups",
                    "fps",
                ),
                *("level_eps", "mask_length"),
            ),
            not_negative=("layers", "chunk_s", "context_s", "mask_min"),
            shares=("dropout", "mask_probability"),
        )
        check_divides(self, "hidden", "heads")
        check_divides(self, "hidden", "position_groups")
        if self.front_end not in ("conv", "log_mel"):
            raise ValueError(f"front_end must be 'conv' or 'log_mel', not {self.front_end!r}")
        if self.feature_norm not in ("group", "layer"):
            raise ValueError(f"feature_norm must be 'group' or 'layer', not {self.feature_norm!r}")
        if self.level not in ("utterance", "fixed"):
            raise ValueError(f"level must be 'utterance' or 'fixed', not {self.level!r}")
        if self.speech_frames not in (1, 2):
            raise ValueError(f"speech_frames must be 1 or 2, not {self.speech_frames}")
        if self.speech_frames == 2 and self.fps * 2 != FRAME_RATE_HZ:
            raise ValueError(f"speech_frames 2 needs 25 fps, not {self.fps:g}")
        if self.chunk_s:
            if self.level != "fixed" or self.feature_norm != "layer":
                raise ValueError("chunk_s needs level 'fixed' and feature_norm 'layer'")
            for name, seconds in (("chunk_s", self.chunk_s), ("context_s", self.context_s)):
                for rate in (self.fps, FRAME_RATE_HZ):
                    if abs(seconds * rate - round(seconds * rate)) > 1e-6:
                        raise ValueError(
                            f"{name} ({seconds:g} s) must hold whole frames at {rate:g} per second"
                        )

    @property
    def chunked(self) -> bool:
        return self.chunk_s > 0

    @property
    def latency_s(self) -> float:
        """Right-hand context of a chunked encoder: the sound needed beyond the newest chunk."""
        return self.context_s + (RECEPTIVE - HOP) / SAMPLE_RATE_HZ


class SpeechEncoder(nn.Module):
    """wav2vec 2.0 with CodeTalker's alignment."""

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        self.config = config
        log_mel = config.front_end == "log_mel"
        # one convolution stands in where log-mel spectra replace all of them
        stack = {"conv_kernel": (WINDOW,), "conv_stride": (HOP,)} if log_mel else {}
        self.network = Wav2Vec2Model(
            Wav2Vec2Config(
                conv_dim=(config.conv_dim,) * (1 if log_mel else 7),
                **stack,
                feat_extract_norm=config.feature_norm,
                hidden_size=config.hidden,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.mlp,
                num_conv_pos_embeddings=config.position_kernel,
                num_conv_pos_embedding_groups=config.position_groups,
                hidden_dropout=config.dropout,
                attention_dropout=config.dropout,
                activation_dropout=0.0,
                feat_proj_dropout=0.0,
                layerdrop=0.0,
                mask_time_prob=config.mask_probability,
                mask_time_length=config.mask_length,
                mask_time_min_masks=config.mask_min,
                mask_feature_prob=0.0,
                attn_implementation="eager",
            )
        )
        if log_mel:
            self.network.feature_extractor = MelFrontEnd(config.mel_bins, config.conv_dim)

    # -- lengths ---------------------------------------------------------------------------------

    def frame_count(self, samples: int) -> int:
        """50 Hz frames of ``samples``."""
        return (samples - RECEPTIVE) // HOP + 1

    def frame_sound(self, first: int, stop: int) -> slice:
        """The samples that the 50 Hz frames first .. stop read."""
        return slice(first * HOP, (stop - 1) * HOP + RECEPTIVE)

    def motion_frames(self, samples: int) -> int:
        """Motion frames that a clip of ``samples`` gets."""
        if self.config.chunked:
            return max(1, round(samples / SAMPLE_RATE_HZ * self.config.fps))
        length = self.frame_count(samples)
        if self.config.speech_frames == 2:
            return max(1, length // 2)
        # in floating point and cut, as the original does: 205 frames give 122, not 123
        return max(1, int((length / float(FRAME_RATE_HZ)) * self.config.fps))

    # -- whole clips -----------------------------------------------------------------------------

    def levelled(self, samples: Tensor) -> Tensor:
        """(batch, n) at the level that the network expects."""
        if self.config.level == "fixed":
            return samples / NOMINAL_RMS
        variance, mean = torch.var_mean(samples, dim=-1, correction=0, keepdim=True)
        return (samples - mean) / torch.sqrt(variance + self.config.level_eps)

    def aligned(self, frames: Tensor, motion_frames: int) -> Tensor:
        """50 Hz frames (batch, L, conv_dim) -> (batch, motion_frames * speech_frames, conv_dim)."""
        if self.config.speech_frames == 2:
            return frames[:, : 2 * motion_frames]
        moved = F.interpolate(frames.transpose(1, 2), size=motion_frames, mode="linear", align_corners=True)
        return moved.transpose(1, 2)

    def transform(self, frames: Tensor) -> Tensor:
        """Aligned frames (batch, n, conv_dim) -> (batch, n, hidden); every frame hears all n."""
        hidden, _ = self.network.feature_projection(frames)
        hidden = self.network._mask_hidden_states(hidden)
        return torch.as_tensor(self.network.encoder(hidden).last_hidden_state)

    def convolve(self, levelled: Tensor) -> Tensor:
        """Levelled sound (batch, n) -> 50 Hz frames (batch, L, conv_dim), L = frame_count(n)."""
        return torch.as_tensor(self.network.feature_extractor(levelled)).transpose(1, 2)

    def whole(self, levelled: Tensor, motion_frames: int) -> Tensor:
        """Levelled sound (batch, n) -> (batch, motion_frames * speech_frames, hidden)."""
        return self.transform(self.aligned(self.convolve(levelled), motion_frames))

    # -- chunks on an absolute grid --------------------------------------------------------------

    @property
    def chunk_frames(self) -> int:
        return round(self.config.chunk_s * self.config.fps)

    @property
    def context_frames(self) -> int:
        return round(self.config.context_s * self.config.fps)

    @property
    def chunk_samples(self) -> int:
        """Samples that one chunk reads, its context and the convolutions' own reach included."""
        seconds = self.config.chunk_s + 2 * self.config.context_s
        return round(seconds * SAMPLE_RATE_HZ) + RECEPTIVE - HOP

    def chunk_of(self, samples: Tensor, index: int) -> Tensor:
        """Chunk ``index`` of a clip (n,) -> (chunk_samples,); silence outside the clip."""
        start = round((index * self.config.chunk_s - self.config.context_s) * SAMPLE_RATE_HZ)
        stop = start + self.chunk_samples
        inside = samples[max(start, 0) : max(min(stop, len(samples)), 0)]
        before = min(max(-start, 0), self.chunk_samples)
        return F.pad(inside, (before, self.chunk_samples - before - len(inside)))

    def chunks(self, chunks: Tensor) -> Tensor:
        """Sound of chunks (count, chunk_samples) -> (count, chunk_frames * speech_frames, hidden).

        A chunk's features depend on its own samples alone.
        """
        return self.chunk_features(self.convolve(self.levelled(chunks)))

    def spectra_features(self, spectra: Tensor) -> Tensor:
        """:meth:`chunks` from each chunk's log-mel spectra, (count, n, mel_bins) at 100 Hz."""
        return self.chunk_features(self.network.feature_extractor.reduce(spectra).transpose(1, 2))

    def chunk_features(self, frames: Tensor) -> Tensor:
        """The second half of :meth:`chunks`, from the convolutions' 50 Hz frames of each chunk.

        frames: (count, 50 * (chunk_s + 2 context_s), conv_dim)
        Motion frame t reads the 50 Hz frames around its own time t / fps, whatever the chunk.
        """
        config = self.config
        count = self.chunk_frames + 2 * self.context_frames
        if config.speech_frames == 1:
            place = torch.arange(count, device=frames.device, dtype=torch.float32) * (
                FRAME_RATE_HZ / config.fps
            )
            left = place.floor().long().clamp_max(frames.shape[1] - 2)
            share = (place - left).to(frames.dtype)[None, :, None]
            frames = torch.lerp(frames[:, left], frames[:, left + 1], share)
        first = self.context_frames * config.speech_frames
        hidden = self.transform(frames)
        return hidden[:, first : first + self.chunk_frames * config.speech_frames]

    # -- one clip, either way --------------------------------------------------------------------

    def features(
        self, samples: Tensor, each: Callable[[int, int], None] = lambda done, total: None
    ) -> Tensor:
        """A clip (n,) -> (1, motion_frames * speech_frames, hidden); ``each(done, total)`` per chunk.

        Beyond EXACT_S an unchunked encoder works on windows too (long_speech), with the whole's statistics.
        """
        if not self.config.chunked and len(samples) > EXACT_S * SAMPLE_RATE_HZ:
            return long_features(self, samples, each)
        frames = self.motion_frames(len(samples))
        if not self.config.chunked:
            each(0, 1)
            result = self.whole(self.levelled(samples[None]), frames)
            each(1, 1)
            return result
        parts = []
        total = -(-frames // self.chunk_frames)
        for index, part in enumerate(self.iterate(samples, total)):
            parts.append(part)
            each(index + 1, total)
        return torch.cat(parts, dim=1)[:, : frames * self.config.speech_frames]

    def iterate(self, samples: Tensor, total: int) -> Iterator[Tensor]:
        """The features chunk by chunk: (1, chunk_frames * speech_frames, hidden) each."""
        for index in range(total):
            yield self.chunks(self.chunk_of(samples, index)[None])
