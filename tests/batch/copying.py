"""A program whose rows take no model: each copies its sound twice, slowly, or fails in one of several ways.

``python -m tests.batch.copying batch ...`` is its command line, made of the same parts as the two real ones.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from codetalker_blender.batch import command, worker
from codetalker_blender.batch.tasks import Program
from codetalker_blender.errors import UserError
from codetalker_blender.staging import Staging

OPTIONS = ("text", "fail", "wait", "loud", "output")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--text", default="")
    parser.add_argument("--fail", default="")
    parser.add_argument("--wait", type=float, default=0.0)
    parser.add_argument("--loud", action="store_true")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(arguments)


def check(arguments: Sequence[str]) -> None:
    try:
        parse(arguments)
    except argparse.ArgumentError as error:
        raise UserError(f"{error}.") from error


def perform(arguments: Sequence[str]) -> dict[str, object]:
    options = parse(arguments)
    match options.fail:
        case "user":
            raise UserError("It cannot be copied.", "Choose another.")
        case "bug":
            raise ZeroDivisionError("of seven")
        case "crash":
            os.kill(os.getpid(), 9)
    marker = options.output.with_suffix(".once")
    if options.fail == "crash once" and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), 9)
    content = options.audio.read_bytes() + options.text.encode()
    path: Path = options.output
    path.parent.mkdir(parents=True, exist_ok=True)
    with Staging() as staging:
        for place in (path, path.with_suffix(".twin")):
            with staging.file(place).open("wb") as stream:
                for byte in content:
                    stream.write(bytes([byte]))
                    stream.flush()
                    time.sleep(options.wait / len(content))
        files = staging.publish()
    return {"outputs": [str(file) for file in files], "process": os.getpid(), "loud": options.loud}


def program() -> Program:
    return Program(
        options=OPTIONS,
        switches=("loud",),
        outputs=("output",),
        default_output=("output", ".copy"),
        check=check,
        worker=("", "-m", "tests.batch.copying", "worker"),
    )


def main(arguments: Sequence[str]) -> int:
    if arguments[0] == "worker":
        return worker.serve(perform)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser, ("text", "wait"), ("loud",))
    try:
        return command.run(parser.parse_args(arguments[1:]), program(), sys.stderr)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
