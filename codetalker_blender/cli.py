"""The command line without Blender: sound files → motion files.

Exit codes: 0 done; 2 something the user can cure, in exactly one line on stderr; 3 a bug, with its
traceback on stderr; 130 cancelled (Ctrl-C or SIGTERM), with nothing half-written.
Of several inputs, all files and headers are checked before the first is turned into motion.  Damage
that shows only while reading (such as NaN samples) stops there, and the files finished so far stay.
Progress goes to stderr when that is a terminal or ``--progress`` is given.  Torch is imported only
once there is something to generate.
"""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import stat
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from . import checkup, resources, street
from .batch import command as batch
from .batch import worker as batch_worker
from .batch.tasks import Program
from .contracts import AudioSource, GenerateRequest, no_progress
from .disk import check_writable, explained, mode_of
from .errors import BundleError, Cancelled, OutputError, UserError
from .model_files import read_card
from .staging import Staging
from .standard_streams import own_stderr, point_at_nothing

DONE, REFUSED, BUG, CANCELLED = 0, 2, 3, 130
#: Options of generate that a row of a batch may set.
_ROW_OPTIONS = ("model", "style", "device", "fps", "variation", "seed", "output")
_BATCH_WORKER = "batch-worker"
_LOWEST_FPS, _HIGHEST_FPS = 1, 1000
_MAX_SEED = 2**63 - 1


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    if list(arguments) == [_BATCH_WORKER]:
        return batch_worker.serve(_Rows())
    with own_stderr() as (stderr, noise), _stopped_by_sigterm():
        try:
            options = _parser().parse_args(arguments)
            if options.command == "models":
                _models()
            elif options.command == "check":
                _check(options.device)
            elif options.command == "batch":
                return batch.run(options, _program(), stderr)
            else:
                _generate(options, stderr, street.ModelCache())
        except UserError as error:
            _line(stderr, str(error))
            return REFUSED
        except (Cancelled, KeyboardInterrupt):
            _line(stderr, "Cancelled.")
            return CANCELLED
        except SystemExit as end:  # argparse after --help
            return int(end.code or 0)
        except Exception:  # noqa: BLE001 - the last resort: the traceback is all there is to say
            sys.stderr.flush()
            noise.seek(0)
            stderr.write(noise.read().decode("utf-8", "replace"))
            stderr.write(traceback.format_exc())
            _line(stderr, "This is a bug; please report the lines above.")
            return BUG
    return DONE


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse prints the usage, too."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}.", f"Try '{self.prog} --help'.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="codetalker_blender", description="Turn speech into facial motion.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("models", help="list the models there are", description="List the models there are.")
    check = commands.add_parser(
        "check",
        help="tell whether this installation can run",
        description="Look at everything a run needs, and generate a second of speech.",
    )
    make = commands.add_parser(
        "generate",
        help="turn sound files into motion files",
        description="Turn sound files (WAV, FLAC, OGG, MP3, AIFF) into .npz files of facial motion.",
    )
    make.add_argument("audio", nargs="+", type=Path, metavar="AUDIO", help="sound file with speech")
    make.add_argument("--model", metavar="NAME|DIR", help="model bundle (default: the one that comes along)")
    make.add_argument(
        "--style",
        metavar="NAME|A=0.3,B=0.7",
        help="speaking style, or several with weights that add up to 1 (default: the model's first)",
    )
    for command in (make, check):
        command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    make.add_argument(
        "--fps", type=_fps, metavar="N", help="frames per second, 1 to 1000 (default: the model's)"
    )
    make.add_argument(
        "--variation",
        "--temperature",
        dest="temperature",
        type=_not_negative,
        metavar="T",
        help="0 takes the nearest code, above it codes are drawn (default: the model's)",
    )
    make.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of the drawing (default: 0)")
    make.add_argument("--progress", action="store_true", help="show progress even if stderr is no terminal")
    make.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="OUT.npz|OUT_DIR",
        help="file to write, or a folder for one .npz per input, named by its stem",
    )
    many = commands.add_parser(
        "batch",
        help="generate for every row of a manifest",
        description="Generate for every row of a manifest.  Started again, it goes on where it stopped.",
    )
    batch.add_arguments(many, [name for name in _ROW_OPTIONS if name != "output"], ())
    return parser


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number")
    return number


def _fps(text: str) -> float:
    if not _LOWEST_FPS <= (number := _number(text)) <= _HIGHEST_FPS:
        raise argparse.ArgumentTypeError(f"it must be from {_LOWEST_FPS} to {_HIGHEST_FPS}, not {text}")
    return number


def _not_negative(text: str) -> float:
    if (number := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"it must be 0 or more, not {text}")
    return number


def _seed(text: str) -> int:
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if not 0 <= seed <= _MAX_SEED:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 0 to 2^63 - 1, not {text}")
    return seed


def _check(device: str) -> None:
    """Print a report on this installation.  Raises UserError when something is wrong."""
    engine = checkup.Engine("worker", Path(sys.executable), (), device, Path(tempfile.gettempdir()))
    findings = list(checkup.check_installation(engine))
    _print(checkup.report(findings))
    failed = [finding.subject for finding in findings if finding.problem]
    if failed:
        raise UserError(f"Not in order: {', '.join(failed)}.", "The report says what to do.")


def _models() -> None:
    """Print the shipped bundles with their cards."""
    _print("".join(_described(folder) for folder in resources.list_models()))


def _print(text: str) -> None:
    if sys.stdout is None:  # the caller closed it (>&-)
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough.  Python flushes once more when it ends, which must not fail again.
        point_at_nothing(sys.stdout.fileno())


def _described(folder: Path) -> str:
    try:
        card = read_card(folder)
    except BundleError as error:
        return f"{folder.name}: cannot be used. {error}\n"
    return (
        f"{folder.name}: {card.description or card.name}\n"
        f"  folder   {folder}\n"
        f"  rate     {card.fps:g} fps\n"
        f"  styles   {', '.join(card.styles)}\n"
        f"  licence  {card.licence}\n"
    )


def _program() -> Program:
    """What a batch runs."""

    def check(arguments: Sequence[str]) -> None:
        options = _parser().parse_args(["generate", *arguments])
        if options.output.suffix.lower() != ".npz":
            raise OutputError(f"'{options.output}' is no .npz.", "Name a file that ends in .npz.")

    return Program(
        options=_ROW_OPTIONS,
        switches=(),
        outputs=("output",),
        default_output=("output", ".npz"),
        check=check,
        worker=("", "-m", Path(__file__).parent.name, _BATCH_WORKER),
    )


class _Rows:
    """Runs row after row of a batch, with its model in memory."""

    def __init__(self) -> None:
        self._cache = street.ModelCache()

    def __call__(self, arguments: Sequence[str]) -> dict[str, object]:
        options = _parser().parse_args(["generate", *arguments])
        path: Path = options.output
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with Staging() as staging:
            options.output = staging.file(path)
            (outcome,) = _generate(options, sys.stderr, self._cache)
            files = staging.publish()
        return {
            "outputs": [str(file) for file in files],
            "frames": outcome.frame_count,
            "device": outcome.device,
            "warnings": list(outcome.notes),
        }


def _generate(options: argparse.Namespace, stderr: TextIO, cache: street.ModelCache) -> list[street.Outcome]:
    """Refuse what can be refused before any work, then turn each input into its file."""
    outputs = _outputs(options.audio, options.output)
    model = resources.find_model(options.model) if options.model is not None else resources.default_model()
    card = read_card(model)
    style_name = card.styles[0] if options.style is None else options.style
    style = card.style_mix(style_name)
    street.check_sounds(AudioSource(audio) for audio in options.audio)
    with _folder_for(outputs[0], options.output):
        for path in outputs:
            check_writable(path)
        outcomes = []
        show = options.progress or stderr.isatty()
        for number, (audio, path) in enumerate(zip(options.audio, outputs, strict=True), start=1):
            request = GenerateRequest(
                audio=AudioSource(audio),
                model=model,
                style=style,
                device=options.device,
                fps=options.fps,
                temperature=options.temperature,
                seed=options.seed,
            )
            prefix = f"[{number}/{len(outputs)}] {audio.name}" if len(outputs) > 1 else audio.name
            bar = _Bar(stderr, prefix) if show else None
            try:
                outcome = street.run_to_file(
                    request,
                    path,
                    bar.show if bar else no_progress,
                    cache=cache,
                    model=card.name,
                    style=style_name,
                )
            finally:
                if bar:
                    bar.close()
            for note in outcome.notes:
                _line(stderr, note)
            outcomes.append(outcome)
    return outcomes


def _outputs(inputs: list[Path], output: Path) -> list[Path]:
    """One .npz path per input.  Raises OutputError when two would be the same."""
    if output.suffix.lower() == ".npz" and not stat.S_ISDIR(mode_of(output)):
        if len(inputs) > 1:
            raise OutputError(
                f"{len(inputs)} inputs cannot go into one file '{output}'.", "Name a folder with --output."
            )
        return [output]
    outputs: dict[Path, Path] = {}
    for path in inputs:
        target = output / f"{path.stem}.npz"
        # Some disks do not tell capital letters apart.
        same = next((other for other in outputs if other.name.lower() == target.name.lower()), None)
        if same is not None:
            raise OutputError(
                f"'{outputs[same]}' and '{path}' would both be written to '{same}'.",
                "Rename one, or write them to different folders.",
            )
        outputs[target] = path
    return list(outputs)


@contextmanager
def _folder_for(path: Path, named: Path) -> Iterator[None]:
    """Make the folder ``named`` with --output when only its last part is missing.

    It goes again when the run fails before anything was written into it.  Raises OutputError.
    """
    made = path.parent == named and not mode_of(named)
    if made:
        try:
            named.mkdir()
        except OSError as error:
            raise OutputError(
                f"The folder '{named}' cannot be made: {error.strerror or error}.",
                "Make the folder above it, or choose another one.",
            ) from error
    try:
        yield
    except BaseException:
        if made and not any(named.iterdir()):
            named.rmdir()
        raise


class _Bar:
    """One line per input: rewritten on a terminal, one line per stage elsewhere."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._terminal = stream.isatty()
        self._width = shutil.get_terminal_size().columns - 1
        self._written = ""

    def show(self, stage: str, done: int, total: int) -> None:
        """A progress callback."""
        text = f"{self._name}: {stage} {done}/{total}"
        if self._terminal:
            self._stream.write(f"\r{text[: self._width]:<{len(self._written)}}")
            self._written = text[: self._width]
        elif done >= total:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the line empty for whatever is said next."""
        if self._written:
            self._stream.write(f"\r{'':<{len(self._written)}}\r")
            self._stream.flush()


def _line(stream: TextIO, text: str) -> None:
    stream.write(" ".join(text.split()) + "\n")
    stream.flush()


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a run like Ctrl-C does, so that no temporary file stays behind."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
