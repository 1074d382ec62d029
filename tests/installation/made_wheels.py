"""Small wheels that pip and Blender take for real ones: a module, its metadata, a record."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from codetalker_blender.installation.pins import engine_pins


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    needs: Sequence[str] = (),
    code: str = "",
    tag: str = "py3-none-any",
) -> Path:
    """``folder/name-version-tag.whl`` with one module ``name`` that runs ``code``."""
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{name}.py": f"{code}\n__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def make_engine_wheels(folder: Path) -> Path:
    """A folder with a stand-in for every library that is pinned; torch needs one more."""
    for pin in engine_pins():
        version = pin.wanted.removeprefix("==") if "==" in pin.wanted else "2.0.0"
        make_wheel(folder, pin.name, version, ["made-need>=1"] if pin.name == "torch" else [])
    make_wheel(folder, "made_need", "1.5")
    return folder
