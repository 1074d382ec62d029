"""Official CodeTalker checkpoints → a model bundle.

``python -m training.import_official --stage1 F --stage2 F --template FILE --output DIR`` takes the two
released ``.pth.tar`` files of either flavour and a template of the face they were trained on.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from codetalker_blender.contracts import ImportRequest
from codetalker_blender.errors import UserError
from codetalker_blender.official_import import import_official


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse prints the usage, too."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}.", f"Try '{self.prog} --help'.")


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    result = _Parser(
        prog="python -m training.import_official",
        description="Official CodeTalker checkpoints → a model bundle.",
    )
    need, option = result.add_argument_group("needed"), result.add_argument
    need.add_argument("--stage1", type=Path, required=True, metavar="FILE", help="the codebook's .pth.tar")
    need.add_argument("--stage2", type=Path, required=True, metavar="FILE", help="the speech-driven .pth.tar")
    need.add_argument(
        "--template", type=Path, required=True, metavar="FILE", help=".ply, .obj, .npy, .npz or templates.pkl"
    )
    need.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the bundle")
    option("--subject", metavar="NAME", help="whose template to take out of templates.pkl")
    option("--mesh", type=Path, metavar="FILE", help=".ply or .obj with the face's polygons")
    option("--regions", type=Path, metavar="DIR", help="folder of lve.txt, fdd.txt or FLAME_masks.pkl")
    option("--metres-per-unit", type=_positive, metavar="X", help="metres (default: BIWI 0.187, else 1)")
    option("--up-axis", choices=("X", "Y", "Z"), default="Y", help="the template's up (default Y)")
    option("--name", default="", help="name of the model (default: the folder's)")
    option("--description", default=ImportRequest.description)
    option("--licence", default=ImportRequest.licence)
    option("--codec-heads", type=int, default=ImportRequest.codec_heads, metavar="N")
    option("--query-heads", type=int, default=ImportRequest.query_heads, metavar="N")
    option("--speech-heads", type=int, default=ImportRequest.speech_heads, metavar="N")
    option("--fps", type=_positive, default=None, help="frames per second (default by flavour: 25 or 30)")
    option(
        "--period", type=int, default=None, help="steps of the position code (default by flavour: 25 or 30)"
    )
    option(
        "--styles", type=_names, default=(), metavar="NAME,...",
        help="names of the style rows (default: the official ones)",
    )  # fmt: skip
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; else nothing is written, one line is on stderr, and it is 2, or 130 after Ctrl-C."""
    try:
        done = import_official(ImportRequest(**vars(parser().parse_args(arguments))))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return 130
    print(done)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
