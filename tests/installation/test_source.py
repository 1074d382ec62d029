"""Which index torch comes from, on which system."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetalker_blender.errors import EngineError
from codetalker_blender.installation.source import CPU_INDEX, package_source
from tests.installation.made_wheels import make_wheel


@pytest.mark.parametrize(
    ("device", "system", "index"),
    [
        ("cpu", "linux", CPU_INDEX),  # PyPI's is the one with CUDA
        ("cuda", "linux", ""),
        ("cpu", "win32", ""),  # PyPI's is the one without
        ("auto", "darwin", ""),
    ],
)
def test_each_system_gets_the_index_it_needs(device: str, system: str, index: str) -> None:
    source = package_source(device, "", system)
    assert source.index == index and source.needs_network
    assert source.arguments == (["--extra-index-url", index] if index else [])


def test_windows_needs_an_index_for_nvidia() -> None:
    with pytest.raises(EngineError, match=r"cannot use NVIDIA cards.*download\.pytorch\.org/whl/cu"):
        package_source("cuda", "", "win32")
    named = "https://download.pytorch.org/whl/cu130"
    assert package_source("cuda", f" {named} ", "win32").arguments == ["--extra-index-url", named]


def test_a_folder_of_wheels_takes_the_place_of_the_network(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="neither an https address nor a folder of wheels"):
        package_source("cpu", str(tmp_path))
    make_wheel(tmp_path, "made", "1.0")
    source = package_source("cpu", str(tmp_path))
    assert not source.needs_network
    assert "--no-index" in source.arguments and str(tmp_path) in source.arguments


def test_only_https_is_asked() -> None:
    with pytest.raises(EngineError, match="not an https address"):
        package_source("cpu", "http://example.com/simple")
