"""The extension as Blender installs it, for what needs a folder or preferences of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

import build

ROOT = Path(build.__file__).resolve().parent
MODULE = f"bl_ext.user_default.{build.PACKAGE}"


@contextmanager
def installed(scratch: Path) -> Iterator[Any]:
    """Enabled, in the tests' own extensions folder; gives its preferences.

    Where no zip was installed it is the checkout, linked.
    """
    import addon_utils  # it is there once bpy is

    folder = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True))
    link = folder / build.PACKAGE
    if not link.exists():
        link.symlink_to(build.stage(ROOT, scratch / build.PACKAGE, link=True), target_is_directory=True)
    try:
        bpy.ops.extensions.repo_refresh_all()
        assert addon_utils.enable(MODULE, default_set=True) is not None
        yield bpy.context.preferences.addons[MODULE].preferences
    finally:
        addon_utils.disable(MODULE, default_set=True)
        if link.is_symlink():
            link.unlink()
