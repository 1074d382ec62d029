"""A platform and a Python -> every wheel the engine needs there, and a record of what they are.

pip resolves and fetches; this file tells it for which machine, finds what packages need there (pip would
evaluate ``; sys_platform == "win32"`` for the machine it runs on), and leaves out
what Blender has itself.  Runs in ``.venv``, whose pip and packaging it uses.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from build import BuildError, clean_environ
from codetalker_blender.installation.pip_words import why_pip_stopped
from codetalker_blender.installation.plan import Package, Plan, read_plan, with_sizes
from codetalker_blender.installation.source import PackageSource

#: Blender's own numpy serves the engine too: another one beside it would be loaded by nobody inside
#: Blender, and by the worker in its place.
BLENDERS_OWN = frozenset({"numpy"})
#: No wheel for processors is larger; those for CUDA are several times that.
LARGEST_BYTES = 250_000_000


@dataclass(frozen=True)
class Platform:
    """What Blender calls a kind of computer, in pip's words.

    tags: platform tags of wheels that run there
    markers: what requirements of packages may ask about
    """

    name: str
    tags: tuple[str, ...]
    markers: Mapping[str, str]


def _markers(system: str, sys_platform: str, machine: str, os_name: str) -> dict[str, str]:
    return {
        "platform_system": system,
        "sys_platform": sys_platform,
        "platform_machine": machine,
        "os_name": os_name,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform(
            "linux-x64",
            # Blender asks for glibc 2.28; pip does not know that newer ones run what was made for older ones
            (
                *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)),
                *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"),
            ),
            _markers("Linux", "linux", "x86_64", "posix"),
        ),
        Platform("windows-x64", ("win_amd64",), _markers("Windows", "win32", "AMD64", "nt")),
        Platform("macos-arm64", ("macosx_14_0_arm64",), _markers("Darwin", "darwin", "arm64", "posix")),
    )
}


@dataclass(frozen=True)
class Wheel:
    """One fetched file and where it came from."""

    path: Path
    package: Package

    @property
    def record(self) -> str:
        """A line that ``pip download --require-hashes -r`` understands."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        name, version = self.package.name, self.package.version
        return (
            f"{name}=={version} --hash=sha256:{digest}  # {self.path.name}, {self.path.stat().st_size} bytes"
        )


def fetch(
    platform: Platform, python: str, requirements: Sequence[str], folder: Path, source: PackageSource
) -> list[Wheel]:
    """Every wheel that ``requirements`` need on that platform and Python ("3.11"), in ``folder``.

    Raises BuildError when the source lacks one, or offers none for processors alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = _plan(platform, python, requirements, folder, source)
    too_large = [package for package in plan.packages if (package.size or 0) > LARGEST_BYTES]
    if too_large:
        raise BuildError(
            f"{source} offers {too_large[0]} for {platform.name}, which is no build for processors; name "
            "an index or a folder of wheels that has one with --index."
        )
    print(f"build.py: {platform.name}, Python {python}: {plan}", flush=True)
    listed = folder / "packages.txt"
    listed.write_text("\n".join(one.requirement for one in plan.packages), encoding="utf-8")
    _pip("download", *_machine(platform, python), "--no-deps", "--dest", str(folder), "-r", str(listed))
    wheels = [Wheel(folder / package.file_name, package) for package in plan.packages]
    missing = [wheel.path.name for wheel in wheels if not wheel.path.is_file()]
    if missing:
        raise BuildError(f"pip ended well and did not leave {', '.join(missing)} in {folder}.")
    return wheels


def _plan(
    platform: Platform, python: str, requirements: Sequence[str], folder: Path, source: PackageSource
) -> Plan:
    """What is needed, with sizes.

    pip evaluates markers for the machine that it runs on (torch for Linux asks for CUDA), so it is never
    asked what a package needs, but again and again which versions fit all that is known to be needed.
    """
    report, wanted, machine = folder / "report.json", set(requirements), _machine(platform, python)
    while True:
        _pip(
            *("install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps", "--report", str(report)),
            *("--target", str(folder / "nowhere"), *source.arguments, *machine, *sorted(wanted)),
        )
        found = {
            canonicalize_name(item["metadata"]["name"]): item["metadata"]
            for item in json.loads(report.read_text(encoding="utf-8"))["install"]
        }
        needed = set(_needed(requirements, found, _environment(platform, python)))
        if needed <= wanted:
            break
        wanted |= needed
    names = {canonicalize_name(Requirement(text).name) for text in needed}
    packages = [
        package
        for package in read_plan(report).packages
        if canonicalize_name(package.name) in names - BLENDERS_OWN
    ]
    return with_sizes(Plan(tuple(packages)), lambda _share: None)


def _needed(
    requirements: Sequence[str], found: Mapping[NormalizedName, Any], environment: dict[str, str]
) -> Iterator[str]:
    """All that ``requirements`` need in ``environment``, they included, as far as ``found`` tells."""
    waiting = [Requirement(text) for text in requirements]
    seen: set[tuple[NormalizedName, str]] = set()
    while waiting:
        asked = waiting.pop()
        yield f"{asked.name}{asked.specifier}"
        name = canonicalize_name(asked.name)
        for extra in {"", *asked.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            for text in found.get(name, {}).get("requires_dist", ()):
                needed = Requirement(text)
                unconditional = needed.marker is None and not extra
                if unconditional or (
                    needed.marker is not None and needed.marker.evaluate({**environment, "extra": extra})
                ):
                    waiting.append(needed)


def _environment(platform: Platform, python: str) -> dict[str, str]:
    versions = {"python_version": python, "python_full_version": f"{python}.0"}
    return {**platform.markers, **versions, "implementation_version": f"{python}.0", "platform_release": ""}


def _machine(platform: Platform, python: str) -> list[str]:
    tags = [word for tag in platform.tags for word in ("--platform", tag)]
    return ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *tags]


def _pip(*words: str) -> None:
    # one more try each: an index that cannot be reached is asked for every package
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "1"]
    command = [sys.executable, "-m", "pip", words[0], *quiet, *words[1:]]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environ(), check=False
    )
    if done.returncode:
        raise BuildError(f"pip {words[0]}: {why_pip_stopped(done.stdout)}")
