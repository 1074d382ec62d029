"""pip's report of what it would install -> a list for the user to agree to, and for pip to keep to."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import EngineError
from .machine import gigabytes

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Package:
    """One file that will be fetched.

    url: where it lies; sha256: "" where the index does not tell; size: bytes, None where unknown
    """

    name: str
    version: str
    url: str
    sha256: str = ""
    size: int | None = None

    @property
    def requirement(self) -> str:
        """For pip: this very file, and no other content."""
        return f"{self.name} @ {self.url}" + (f"#sha256={self.sha256}" if self.sha256 else "")

    @property
    def file_name(self) -> str:
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    def __str__(self) -> str:
        return f"{self.name} {self.version}" + (f", {gigabytes(self.size)}" if self.size else "")


@dataclass(frozen=True)
class Plan:
    """All files that will be fetched, the largest first."""

    packages: tuple[Package, ...]

    @property
    def size(self) -> int:
        """Bytes to fetch, as far as known."""
        return sum(package.size or 0 for package in self.packages)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Who sends them; "this computer" for files."""
        return tuple(sorted({urlsplit(one.url).netloc or "this computer" for one in self.packages}))

    @property
    def has_cuda(self) -> bool:
        """Whether torch comes for NVIDIA cards, with several GB that a processor does not need."""
        return any(package.name.replace("_", "-").startswith("nvidia-") for package in self.packages)

    def __str__(self) -> str:
        unknown = sum(package.size is None for package in self.packages)
        more = f" and {unknown} of unknown size" if unknown else ""
        return f"{len(self.packages)} packages, {gigabytes(self.size)}{more}, from {', '.join(self.hosts)}"


def read_plan(report: Path) -> Plan:
    """What ``pip install --dry-run --report`` wrote.  Raises EngineError."""
    try:
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
        packages = []
        for item in items:
            archive = item["download_info"].get("archive_info", {})
            former = archive.get("hash", "").partition("sha256=")[2]
            digest = archive.get("hashes", {}).get("sha256", former)
            name, version = item["metadata"]["name"], item["metadata"]["version"]
            packages.append(Package(name, version, item["download_info"]["url"], digest))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"pip's list of packages cannot be read ({type(error).__name__}).",
            "Report this, and choose Own Environment meanwhile.",
        ) from error
    return Plan(tuple(packages))


def with_sizes(plan: Plan, progress: Callable[[float], None]) -> Plan:
    """Ask for the size of every file; one that is not told stays unknown.

    progress: gets the share of files asked about; may raise to stop
    """
    sized: list[Package] = []
    pool = ThreadPoolExecutor(8)
    try:
        for package, size in zip(plan.packages, pool.map(_size, plan.packages), strict=True):
            sized.append(replace(package, size=size))
            progress(len(sized) / len(plan.packages))
    finally:  # who stops it does not wait for answers
        pool.shutdown(wait=False, cancel_futures=True)
    return Plan(tuple(sorted(sized, key=lambda package: -(package.size or 0))))


def _size(package: Package) -> int | None:
    parts = urlsplit(package.url)
    try:
        if parts.scheme == "file":
            return Path(urllib.request.url2pathname(parts.path)).stat().st_size
        if parts.scheme != "https":
            return None
        request = urllib.request.Request(package.url, method="HEAD")
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:
            return int(answer.headers["Content-Length"])
    except (OSError, ValueError, TypeError):  # no network, no such header, another proxy than pip's
        return None
