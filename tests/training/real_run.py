"""All three real stages as a program of its own, to be killed, resumed and started twice at once.

    python -m tests.training.real_run FOLDER [--resume] [--kill-at N] [--raw]

Every process's final weights go into FOLDER/final-INDEX.safetensors.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from training.config import Preset
from training.processes import Processes
from training.run_folder import RunFolder
from training.setup import make_setup
from training.stages import NO_NOTES, run_stages

from .made import made_dataset, small_preset


class MortalFolder(RunFolder):
    """A run's folder that kills its process after so many steps."""

    kill_after = 0
    steps_here = 0

    def advance(self) -> None:
        super().advance()
        self.steps_here += 1
        if self.steps_here == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


def lively_preset(raw: bool) -> Preset:
    """Everything by chance is on: dropout, masks, restarts, noise, augmentation, own past.

    raw: convolutions on raw sound, whose output is cached in augmented copies
    """
    preset = small_preset(codebook=24, speech=10, query=12)
    front: dict[str, Any] = {"front_end": "conv", "conv_dim": 8} if raw else {}
    speech = dataclasses.replace(preset.speech, dropout=0.1, mask_probability=0.05, **front)
    return dataclasses.replace(
        preset,
        speech=speech,
        codec=dataclasses.replace(preset.codec, dropout=0.1),
        query=dataclasses.replace(preset.query, dropout=0.1),
        codebook_stage=dataclasses.replace(preset.codebook_stage, restart_every=4),
        query_stage=dataclasses.replace(preset.query_stage, sound_variants=2),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--kill-at", type=int, default=0, help="die after this program's n-th step")
    options = parser.parse_args()
    processes = Processes(cpu=True)
    run = MortalFolder(
        options.folder, quiet=True, resume=options.resume, checkpoint_every=5, processes=processes
    )
    run.kill_after = options.kill_at
    dataset = made_dataset(clips=2, seconds=2.0)
    setup = make_setup(lively_preset(options.raw), dataset, processes)
    run_stages(setup, dataset, run, NO_NOTES)
    tensors = {}
    for name in ("encoder", "codec", "query"):
        for key, value in getattr(setup, name).state_dict().items():
            tensors[f"{name}.{key}"] = value.clone()
    save_file(tensors, options.folder / f"final-{processes.index}.safetensors")


if __name__ == "__main__":
    main()
