#!/usr/bin/env python3
"""One command each: demo, test, lint, package, install, bench.

Makes the environments it needs by itself (`.venv`, `.venv-lint`, `.venv-bpy-VERSION`) from the pins in
pyproject.toml, runs one thing in them and says where its output went.  Standard library only.
What a person can cure ends as one sentence on stderr and exit code 2.
"""

# The syntax stays old and tomllib comes late, so that an old Python gets as far as naming the right one.
from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
PYTHON = "3.11"
PACKAGE = "codetalker_blender"
MANIFEST = "blender_manifest.toml"
NEEDED_GB = 5.0  # free disk space to make an environment
NONE_FOUND = "none was found on PATH, in pyenv or by uv"
#: Several files of tests at once; xdist waits in vain for those of a crashed process that it replaces.
TOGETHER = ("-n", "auto", "--dist", "loadfile", "--max-worker-restart", "0")
#: What `package` ships from assets/; every pattern must match something.
SHIPPED_ASSETS = (
    "LICENSES.md",
    "models/default/config.json",
    "models/default/model.safetensors",
    "models/default/face.npz",
    "demo_head.blend",
    "head/*.npz",
    "speech/*",
)


class BuildError(Exception):
    """What the person at the keyboard can cure, as one sentence."""


def read_toml(path: Path) -> dict[str, Any]:
    import tomllib

    if not path.is_file():
        raise BuildError(f"{path} is missing; run build.py from a complete checkout.")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def project_version(root: Path) -> str:
    """The version number, from the one place that holds it."""
    return str(read_toml(root / MANIFEST)["version"])


@dataclass(frozen=True)
class Environment:
    """A virtual environment as it should be.

    name: its folder in the checkout
    python: "3.11"
    pins: requirements for pip
    bare: requirements installed without what they depend on
    """

    name: str
    python: str
    pins: tuple[str, ...]
    bare: tuple[str, ...] = ()

    @property
    def stamp(self) -> str:
        text = json.dumps([self.python, sorted(self.pins), sorted(self.bare)])
        return hashlib.sha256(text.encode()).hexdigest()


def main_environment(root: Path) -> Environment:
    """`.venv`: the project, bpy, what training and batches on a cluster need, and pytest."""
    project = read_toml(root / "pyproject.toml")["project"]
    extras = [project["optional-dependencies"][name] for name in ("blender", "training", "farm", "test")]
    return Environment(".venv", PYTHON, (*project["dependencies"], *(pin for pins in extras for pin in pins)))


def lint_environment(root: Path) -> Environment:
    """`.venv-lint`: the checkers and Blender's types.

    torch comes without its dependencies: mypy reads only its annotations, and without them most of
    engine/ and training/ would go unchecked.
    """
    project = read_toml(root / "pyproject.toml")["project"]
    torch = tuple(pin for pin in project["dependencies"] if pin.startswith("torch="))
    pins = tuple(project["optional-dependencies"]["lint"])
    return Environment(".venv-lint", PYTHON, pins, bare=torch)


def blender_environment(root: Path, version: str) -> Environment:
    """`.venv-bpy-VERSION`: another Blender as a module.

    Where that Blender has another Python, the libraries of the networks stay out: the tests there
    drive the worker process with `.venv`'s Python, as an animator's Blender would.
    """
    settings = read_toml(root / "pyproject.toml")
    series = settings["tool"]["codetalker"]["bpy"]
    found = re.fullmatch(r"(\d+\.\d+)\.\d+", version)
    if found is None or found[1] not in series:
        raise BuildError(
            f"bpy {version} is not known here: give a full version (like 4.2.23) of {', '.join(series)}."
        )
    python, numpy = series[found[1]]["python"], series[found[1]]["numpy"]
    project, pins = settings["project"], list(settings["project"]["dependencies"])
    if python != PYTHON:
        pins = [pin for pin in pins if pin.startswith(("numpy", "soundfile"))]
    pins += [f"bpy=={version}", numpy, *project["optional-dependencies"]["test"]]
    return Environment(f".venv-bpy-{version}", python, tuple(pins))


def clean_environ(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment variables for a child, without those that would point it at other libraries."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    return {**kept, "PYTHONNOUSERSITE": "1", **(extra or {})}


def run(command: Sequence[str | Path], extra: Mapping[str, str] | None = None) -> int:
    """Run in the checkout with the terminal's own output; return the exit status."""
    sys.stdout.flush()
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=clean_environ(extra), check=False)
    return done.returncode


def ask(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run something short and keep what it says."""
    words = [str(part) for part in command]
    return subprocess.run(words, capture_output=True, text=True, env=clean_environ(), check=False)


def python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def python_candidates(version: str) -> Iterator[str | Path]:
    # not sys.executable: inside a virtual environment that one vanishes when it is made anew
    yield getattr(sys, "_base_executable", sys.executable)
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(python_in, sorted(pyenv.glob(f"versions/{version}.*"), reverse=True))
    if shutil.which("uv"):
        yield ask("uv", "python", "find", version).stdout.strip()


def asked_python(candidate: str | Path, version: str, needs: str) -> str | None:
    """The real path of a Python of that version that can import `needs`, or None."""
    code = f"import sys, {needs}; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
    try:
        lines = ask(candidate, "-c", code).stdout.split("\n")
    except OSError:
        return None
    return lines[1] if lines[0] == version else None


def find_python(version: str) -> str | None:
    """A Python of that version which can make environments, or None.

    Every candidate is asked, because a pyenv shim on PATH may stand for a version that is not there.
    """
    candidates = python_candidates(version)
    return next(filter(None, (asked_python(one, version, "venv, ensurepip") for one in candidates)), None)


def make_environment(root: Path, environment: Environment) -> Path:
    """Make the environment, bring it up to its pins, or find it good; return its Python.

    The stamp is written last, so an interrupted run is taken up again; an environment that somebody
    made by hand is kept and gets what it lacks.
    """
    folder = root / environment.name
    python, stamp = python_in(folder), folder / "codetalker-pins.txt"
    log = root / "build" / "logs" / f"{environment.name[1:]}.log"
    if python.exists() and stamp.is_file() and stamp.read_text() == environment.stamp:
        return python
    base = find_python(environment.python)
    if base is None:
        raise BuildError(
            f"{environment.name} needs Python {environment.python} with its venv module, and {NONE_FOUND}: "
            f"install it (Debian: python{environment.python}-venv)."
        )
    if not asked_python(python, environment.python, "pip"):
        free = shutil.disk_usage(root).free / 1e9
        if free < NEEDED_GB:
            raise BuildError(f"{environment.name} needs {NEEDED_GB:g} GB of disk and {free:.1f} GB are free.")
        _remove(folder)
        print(f"build.py: making {environment.name} with {base}", flush=True)
        _logged(log, environment, [base, "-m", "venv", folder])
    stamp.unlink(missing_ok=True)
    print(f"build.py: installing into {environment.name}, minutes the first time; log: {log}", flush=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    _logged(log, environment, [*pip, *environment.pins])
    if environment.bare:
        _logged(log, environment, [*pip, "--no-deps", *environment.bare])
    stamp.write_text(environment.stamp)
    return python


def _logged(log: Path, environment: Environment, command: Sequence[str | Path]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        words = [str(part) for part in command]
        done = subprocess.run(words, stdout=stream, stderr=stream, env=clean_environ(), check=False)
    if done.returncode:
        from codetalker_blender.installation.pip_words import why_pip_stopped  # not for an old Python

        reason = why_pip_stopped(log.read_text(encoding="utf-8", errors="replace"))
        raise BuildError(f"{environment.name} could not be made: {reason} The log is {log}.")


def stage(root: Path, destination: Path, *, link: bool = False) -> Path:
    """Put package, manifest, pins, licence and assets together as Blender wants them, in `destination`.

    link: symbolic links into the checkout instead of copies, so that edits show at once.
    """
    wanted = sorted((root / PACKAGE).glob("[!_.]*")) + sorted((root / PACKAGE).glob("*.py"))
    beside = [root / name for name in (MANIFEST, "pyproject.toml", "LICENSE")]
    sources = {path.name: path for path in [*wanted, *beside]}
    assets: dict[str, Path] = {}
    for pattern in SHIPPED_ASSETS:
        found = sorted((root / "assets").glob(pattern)) or [root / "assets" / pattern]
        assets.update({path.relative_to(root).as_posix(): path for path in found})
    for path in [*sources.values(), *assets.values()]:
        if not path.exists():
            raise BuildError(f"{path} is missing, and an extension without it would not work.")
    partial = destination.with_name(destination.name + ".part")
    _remove(partial)
    partial.mkdir(parents=True)
    if link:
        for name, path in {**sources, "assets": root / "assets"}.items():
            (partial / name).symlink_to(path, target_is_directory=path.is_dir())
    else:
        unwanted = shutil.ignore_patterns("__pycache__", ".*", "*~")
        for name, path in {**sources, **assets}.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, partial / name, ignore=unwanted)
            else:
                shutil.copy2(path, partial / name)
    _remove(destination)
    partial.rename(destination)
    return destination


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def build_zip(python: Path, staged: Path, archive: Path) -> None:
    """Build `archive` from the staged folder and validate it, with the tool inside `python`'s bpy."""
    tool = next(python.parent.parent.glob("**/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"), None)
    if tool is None:
        raise BuildError(f"{python.parent.parent} holds no bpy with an extension tool: delete it and go on.")
    _remove(archive)
    build: list[str | Path] = ["build", "--source-dir", staged, "--output-filepath", archive]
    for step in (build, ["validate", archive]):
        done = ask(python, tool, *step)
        if done.returncode or not archive.is_file():
            said = " ".join((done.stderr + done.stdout).split()) or "no reason given"
            _remove(archive)
            raise BuildError(f"Blender's extension tool refused to {step[0]} {archive.name}: {said[:500]}")


def make_package() -> Path:
    staged = stage(ROOT, ROOT / "build" / "stage" / PACKAGE)
    print(f"build.py: staged in {staged.relative_to(ROOT)}", flush=True)
    python = make_environment(ROOT, main_environment(ROOT))
    archive = ROOT / "build" / f"{PACKAGE}-{project_version(ROOT)}.zip"
    build_zip(python, staged, archive)
    print(f"build.py: {archive.relative_to(ROOT)}, {archive.stat().st_size / 1e6:.1f} MB, valid for Blender")
    return archive


def find_blender(given: str | None) -> str:
    program = shutil.which(given or "blender")
    if program is None:
        asked = f"'{given}' is not a program" if given else "there is no 'blender' on PATH"
        raise BuildError(f"{asked}: name one with --blender PATH, or a folder with --extensions DIR.")
    return str(Path(program).absolute())


def extensions_folder(blender: str) -> Path:
    code = "import bpy; print('EXTENSIONS=' + bpy.utils.user_resource('EXTENSIONS', create=True))"
    answer = ask(blender, "--background", "--python-expr", code)
    found = re.search(r"^EXTENSIONS=(.+)$", answer.stdout, re.MULTILINE)
    if found is None:
        raise BuildError(f"{blender} did not tell its extensions folder; name one with --extensions DIR.")
    return Path(found[1])


def install_into_blender(blender: str, archive: Path) -> None:
    run([blender, "--command", "extension", "install-file", "-r", "user_default", "--enable", archive])
    # install-file ends with 0 even when Blender then refuses the extension, so Blender is asked again
    module = f"bl_ext.user_default.{PACKAGE}"
    code = f"import addon_utils, sys; sys.exit(0 if addon_utils.check({module!r})[1] else 3)"
    if ask(blender, "--background", "--python-expr", code).returncode:
        raise BuildError(f"{blender} does not enable {archive.name}; its own output above says why.")


def demo(options: argparse.Namespace, extra: list[str]) -> int:
    python = make_environment(ROOT, main_environment(ROOT))
    audio = ["--audio", str(Path(options.audio).resolve())] if options.audio else []
    print("build.py: speech to a talking head; output goes to build/demo", flush=True)
    module, output = f"{PACKAGE}.blender", str(ROOT / "build" / "demo")
    return run([python, "-m", module, "demo", "--output", output, *audio, *extra])


def test(options: argparse.Namespace, extra: list[str]) -> int:
    environment, variables = main_environment(ROOT), {}
    if options.blender:
        archive, python = make_package(), make_environment(ROOT, environment)
        return run([python, "-m", "tests.gui", options.blender, archive, *extra])
    if options.bpy:
        environment = blender_environment(ROOT, options.bpy)
        if find_python(environment.python) is None:
            print(f"SKIPPED: bpy {options.bpy} needs Python {environment.python}, and {NONE_FOUND}.")
            return 0
        if environment.python != PYTHON:
            variables["CODETALKER_ENGINE_PYTHON"] = str(make_environment(ROOT, main_environment(ROOT)))
    if not any((ROOT / part.split("::")[0]).exists() for part in extra):
        extra = [*TOGETHER, *(["tests/blender"] if options.bpy else []), *extra]
    python, slow = make_environment(ROOT, environment), ["-m", ""] if options.slow else []
    report = f"build/test/{environment.name[1:]}.xml"
    print(f"build.py: tests in {environment.name}; report goes to {report}", flush=True)
    return run([python, "-m", "pytest", f"--junitxml={report}", *slow, *extra], variables)


def lint(_options: argparse.Namespace, _extra: list[str]) -> int:
    python, failed = make_environment(ROOT, lint_environment(ROOT)), []
    for checker in ("ruff check", "mypy"):
        print(f"build.py: {checker}", flush=True)
        if run([python, "-m", *checker.split()]):
            failed.append(checker)
    print(f"build.py: complaints by {' and '.join(failed)}" if failed else "build.py: no complaints")
    return 1 if failed else 0


def package(options: argparse.Namespace, extra: list[str]) -> int:
    make_package()
    if not options.full:
        return 0
    python = make_environment(ROOT, main_environment(ROOT))
    return run([python, ROOT / ".build" / "full_zips.py", *extra], {"PYTHONPATH": str(ROOT)})


def install(options: argparse.Namespace, _extra: list[str]) -> int:
    if not options.dev and not options.extensions:
        blender = find_blender(options.blender)
        install_into_blender(blender, make_package())
        print(f"build.py: installed and enabled in {blender}")
        return 0
    folder = options.extensions or extensions_folder(find_blender(options.blender))
    target = Path(folder).resolve() / "user_default" / PACKAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    if options.dev:
        staged = stage(ROOT, ROOT / "build" / "dev" / PACKAGE, link=True)
        _remove(target)
        target.symlink_to(staged, target_is_directory=True)
    else:
        archive = make_package()
        _remove(target)
        shutil.unpack_archive(archive, target)
    print(f"build.py: {target} is in place; enable CodeTalker in Blender's preferences")
    return 0


def bench(_options: argparse.Namespace, extra: list[str]) -> int:
    python = make_environment(ROOT, main_environment(ROOT))
    print("build.py: benchmarks; results go to build/bench", flush=True)
    return run([python, "-m", "tests.bench", *extra])


class OneSentenceParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        raise BuildError(f"{message}; '{self.prog} --help' lists what there is.")


def argument_parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(prog="build.py", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(action: Callable[[argparse.Namespace, list[str]], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(action.__name__, help=text, description=text, allow_abbrev=False)
        command.set_defaults(action=action)
        return command

    command = add(demo, "speech to a talking head, rendered to build/demo; other options go to the demo")
    command.add_argument("--audio", metavar="FILE", help="speak this instead of the shipped speech")
    command = add(test, "run the tests; other arguments go to pytest")
    command.add_argument("--bpy", metavar="VERSION", help="run tests/blender in this Blender (like 5.2.3)")
    command.add_argument("--blender", metavar="PATH", help="install the zip in this Blender; tests and GUI")
    command.add_argument("--slow", action="store_true", help="run the tests that take minutes too")
    add(lint, "ruff and mypy")
    command = add(package, "build/codetalker_blender-VERSION.zip, built and validated by Blender's own tool")
    full = (
        "packages with the engine's libraries too; --platform NAME and --python VERSION choose some, "
        "--index names where torch for processors lies, or a folder of wheels"
    )
    command.add_argument("--full", action="store_true", help=full)
    command = add(install, "install the package into a Blender")
    command.add_argument("--dev", action="store_true", help="link this checkout instead of installing a copy")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--blender", metavar="PATH", help="the Blender program (default: blender on PATH)")
    where.add_argument("--extensions", metavar="DIR", help="an extensions folder, when no Blender can be run")
    add(bench, "measure speed; results in build/bench; other arguments go to the benchmarks")
    return parser


def require_python() -> None:
    this = ".".join(map(str, sys.version_info[:3]))
    if not this.startswith(f"{PYTHON}."):
        found = find_python(PYTHON)
        cure = f"run it with {found}" if found else "install it and run build.py with it"
        raise BuildError(f"Python {PYTHON} is needed and this is {this}: {cure}.")


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        options, extra = argument_parser().parse_known_args(arguments)
        if extra and options.action not in (demo, test, bench) and not getattr(options, "full", False):
            raise BuildError(f"'{options.command}' takes no '{extra[0]}'.")
        require_python()
        return int(options.action(options, extra))
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
    except OSError as error:
        print(f"build.py: the system refused: {error}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("build.py: interrupted; run it again to go on.", file=sys.stderr)
        return 130
    return 2


if __name__ == "__main__":
    sys.exit(main())
