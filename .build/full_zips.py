"""The slim package -> full packages, one per platform and Python, with the engine's wheels inside.

    build/wheels/PLATFORM-pyXY/     what was fetched
    build/full/PLATFORM-pyXY/       the staged extension: the slim one, wheels/ and a manifest of its own
    build/NAME-VERSION-PLATFORM-pyXY.zip, and .txt beside it: the wheels' versions, hashes and sizes

``python3 build.py package --full`` runs this in ``.venv``.  A package that cannot be made (an index lacks
a wheel, say) is told as such, the others are made all the same, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import build
from codetalker_blender.errors import UserError
from codetalker_blender.installation.source import package_source
from wheels import PLATFORMS, Platform, Wheel, fetch


@dataclass(frozen=True)
class Blenders:
    """The Blenders that share a Python.

    first: the first of their versions, "4.2.0"; end: the first with another Python, "" when none is known
    numpy: what those Blenders bring
    """

    python: str
    numpy: str
    first: str
    end: str


def blenders(settings: dict[str, Any]) -> dict[str, Blenders]:
    """Python -> its Blenders, from ``[tool.codetalker.bpy]``."""
    series = sorted(settings["tool"]["codetalker"]["bpy"].items(), key=lambda item: _numbers(item[0]))
    found: dict[str, Blenders] = {}
    for number, (version, values) in enumerate(series):
        python = values["python"]
        if python not in found:
            others = [other for other, item in series[number:] if item["python"] != python]
            end = f"{others[0]}.0" if others else ""
            found[python] = Blenders(python, values["numpy"], f"{version}.0", end)
    return found


def full_manifest(text: str, platform: str, wheels: Sequence[str], which: Blenders) -> str:
    """The slim manifest's text -> that of a full package; the tracked file is not touched."""
    head, bracket, tables = text.partition("\n[")
    versions = f'blender_version_min = "{which.first}"'
    if which.end:
        versions += f'\nblender_version_max = "{which.end}"  # the first Blender with another Python'
    head, replaced = re.subn(r'(?m)^blender_version_min = ".*"$', versions, head)
    if replaced != 1:
        raise build.BuildError(f"{build.MANIFEST} does not say blender_version_min in one line.")
    listed = "".join(f'  "./wheels/{name}",\n' for name in wheels)
    return f'{head.rstrip()}\n\nplatforms = ["{platform}"]\nwheels = [\n{listed}]\n{bracket}{tables}'


def stage_full(root: Path, staged: Path, platform: str, wheels: Sequence[Path], which: Blenders) -> Path:
    """The slim extension, the wheels and the manifest in ``staged``."""
    build.stage(root, staged)
    (staged / "wheels").mkdir()
    for wheel in wheels:
        target = staged / "wheels" / wheel.name
        try:
            os.link(wheel, target)
        except OSError:  # another disk, or one without links
            shutil.copy2(wheel, target)
    manifest = staged / build.MANIFEST
    names = [wheel.name for wheel in wheels]
    text = full_manifest(manifest.read_text(encoding="utf-8"), platform, names, which)
    manifest.unlink()
    manifest.write_text(text, encoding="utf-8")
    return staged


def make_full(root: Path, platform: Platform, which: Blenders, index: str = "") -> Path:
    """Fetch, stage, build, validate; -> the zip.

    index: where torch for processors lies, an https address or a folder that holds all wheels; "" is
        PyTorch's own for Linux, and PyPI
    Raises BuildError, EngineError.
    """
    source = package_source("cpu", index, platform.markers["sys_platform"])
    settings = build.read_toml(root / "pyproject.toml")
    label = f"{platform.name}-py{which.python.replace('.', '')}"
    requirements = [*settings["project"]["dependencies"], which.numpy]
    wheels = fetch(platform, which.python, requirements, root / "build" / "wheels" / label, source)
    staged = root / "build" / "full" / label / build.PACKAGE
    stage_full(root, staged, platform.name, [wheel.path for wheel in wheels], which)
    archive = root / "build" / f"{build.PACKAGE}-{build.project_version(root)}-{label}.zip"
    build.build_zip(Path(sys.executable), staged, archive)
    write_record(archive.with_suffix(".txt"), archive, wheels)
    return archive


def write_record(path: Path, archive: Path, wheels: Sequence[Wheel]) -> None:
    """What is in the package, so that the same can be fetched again."""
    lines = [f"# the wheels in {archive.name}; pip download --no-deps --require-hashes -r this file"]
    path.write_text("\n".join([*lines, *(wheel.record for wheel in wheels)]) + "\n", encoding="utf-8")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main(arguments: Sequence[str] | None = None) -> int:
    known = blenders(build.read_toml(build.ROOT / "pyproject.toml"))
    parser = argparse.ArgumentParser(description="Full packages, with the engine inside.")
    parser.add_argument("--platform", action="append", choices=sorted(PLATFORMS), help="default: all")
    parser.add_argument("--python", action="append", choices=sorted(known), help="default: all")
    parser.add_argument(
        "--index", default="", metavar="INDEX", help="of torch for processors, or a folder of all wheels"
    )
    options = parser.parse_args(arguments)
    failed = []
    for python in options.python or known:
        for name in options.platform or PLATFORMS:
            try:
                archive = make_full(build.ROOT, PLATFORMS[name], known[python], options.index)
            except (build.BuildError, UserError, OSError) as error:
                print(f"build.py: no full package for {name}, Python {python}: {error}", flush=True)
                failed.append(name)
            else:
                size = archive.stat().st_size / 1e6
                print(
                    f"build.py: {archive.relative_to(build.ROOT)}, {size:.1f} MB, valid for Blender",
                    flush=True,
                )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
