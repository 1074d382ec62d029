"""Reports do not tell who wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetalker_blender.installation.masking import masked


def test_the_home_folder_is_masked_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "anna"
    (tmp_path / "link").symlink_to(home)
    home.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    monkeypatch.setenv("USERPROFILE", r"C:\Users\anna")
    text = f"'{home}/x' {tmp_path}/link {home}bel/y C:\\Users\\anna\\z C:/Users/anna/z 'C:\\\\Users\\\\anna'"
    assert masked(text) == f"'~/x' ~ {home}bel/y ~\\z ~/z '~'"
    monkeypatch.setenv("HOME", "/")
    assert masked("/usr/bin") == "/usr/bin"
