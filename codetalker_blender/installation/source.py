"""Which package index the engine's libraries come from; only torch differs between indexes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import EngineError

#: torch without CUDA; PyPI's for Linux brings several GB of it.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
#: Where torch for NVIDIA cards lies; PyPI's for Windows is for the processor alone.
CUDA_INDEX_EXAMPLE = "https://download.pytorch.org/whl/cu130"


@dataclass(frozen=True)
class PackageSource:
    """Where pip looks.

    index: "" (as pip is set up on this computer, which is PyPI), an https address that is asked beside
        it, or a folder of wheels, which takes the place of everything else
    """

    index: str = ""

    @property
    def needs_network(self) -> bool:
        return not self.index or _is_address(self.index)

    @property
    def arguments(self) -> list[str]:
        """pip's options."""
        if not self.index:
            return []
        if _is_address(self.index):
            # A build for one device is called "2.13.0+cpu", which pip takes before the plain 2.13.0.
            return ["--extra-index-url", self.index]
        return ["--isolated", "--no-index", "--find-links", self.index]

    def __str__(self) -> str:
        if not self.needs_network:
            return f"the folder '{self.index}'"
        usual = "PyPI (or what pip is set up for on this computer)"
        return f"{self.index} and {usual}" if self.index else usual


def package_source(device: str, index: str, system: str = sys.platform) -> PackageSource:
    """The source of libraries for ``device`` ("auto", "cpu" or "cuda") on ``system``.

    index: the user's own, an https address or a folder of wheels; "" lets the device choose.
    Raises EngineError.
    """
    index = index.strip()
    if _is_address(index):
        if urlsplit(index).scheme != "https":
            raise EngineError(f"The package index '{index}' is not an https address.", "Use https.")
        return PackageSource(index)
    if index:
        folder = Path(index)
        if not folder.is_dir() or not any(folder.glob("*.whl")):
            raise EngineError(
                f"The package index '{index}' is neither an https address nor a folder of wheels.",
                "Leave it empty for PyPI.",
            )
        return PackageSource(str(folder.absolute()))
    if device == "cpu" and system.startswith("linux"):
        return PackageSource(CPU_INDEX)
    if device == "cuda" and system == "win32":
        raise EngineError(
            "The torch that PyPI has for Windows cannot use NVIDIA cards.",
            f"Name a package index that has one which can, such as {CUDA_INDEX_EXAMPLE}.",
        )
    return PackageSource()


def _is_address(index: str) -> bool:
    return "://" in index
