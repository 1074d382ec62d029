"""A Python -> which of the engine's libraries it has, found out by running it; nothing is imported there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError
from .child import no_window
from .pins import Pin

OLDEST = (3, 11)
_PATIENCE_S = 20.0
#: Runs in any Python 3, so that an old one can be told from a broken one.
_QUESTION = """
import json, sys
found = {}
if sys.version_info >= (3, 8):
    import importlib.metadata, importlib.util
    for name in sys.argv[1:]:
        if importlib.util.find_spec(name) is not None:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = ""
print(json.dumps({"python": list(sys.version_info[:3]), "found": found}))
"""


@dataclass(frozen=True)
class Probe:
    """What a Python has.

    version: "3.11.7"; found: library -> version, "" where it does not tell
    problem: why it cannot run the model, as one sentence, and cure: what to do; "" when it can
    """

    version: str
    found: Mapping[str, str]
    problem: str = ""
    cure: str = ""

    def __str__(self) -> str:
        libraries = ", ".join(f"{name} {version}".strip() for name, version in self.found.items())
        return self.problem or f"Python {self.version} with {libraries}"


def probe(python: Path, pins: Sequence[Pin], environment: Mapping[str, str] | None = None) -> Probe:
    """Ask ``python`` which of the pinned libraries it has.

    environment: the variables with which the model will run there
    """
    try:
        version, found = _ask(python, [pin.name for pin in pins], environment)
    except EngineError as error:
        return Probe("", {}, error.message, error.hint)
    number = ".".join(map(str, version))
    if version[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        problem = f"The Python at '{python}' is {number}, and the model needs {oldest} or newer."
        return Probe(number, found, problem, "Choose another Python, or let the extension set one up.")
    lacking = [pin for pin in pins if pin.name not in found]
    if lacking:
        names = " and ".join(filter(None, (", ".join(pin.name for pin in lacking[:-1]), lacking[-1].name)))
        asked = " ".join(f'"{pin}"' for pin in lacking)
        return Probe(
            number,
            found,
            f"The Python {number} at '{python}' lacks {names}.",
            f"Install what is missing ('{python}' -m pip install {asked}), or choose another engine.",
        )
    return Probe(number, found)


def _ask(
    python: Path, names: list[str], environment: Mapping[str, str] | None
) -> tuple[tuple[int, ...], dict[str, str]]:
    """(version, found).  Raises EngineError."""
    cure = "Choose a program called python, python3 or python.exe."
    try:
        done = subprocess.run(
            [python, "-c", _QUESTION, *names],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            creationflags=no_window(),
            timeout=_PATIENCE_S,
            check=False,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
        return tuple(answer["python"]), dict(answer["found"])
    except OSError as error:
        raise EngineError(f"'{python}' cannot be started: {error.strerror or error}.", cure) from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"'{python}' did not answer within {_PATIENCE_S:g} s.", cure) from error
    except (ValueError, IndexError, KeyError, TypeError) as error:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        last = f" ({said[-1][:200]})" if said else ""
        raise EngineError(f"'{python}' did not answer as a Python does{last}.", cure) from error
