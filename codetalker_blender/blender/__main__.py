"""``python -m codetalker_blender.blender``: Blender's command line in the bpy module (see command.py)."""

from __future__ import annotations

import sys

from . import command, register, unregister


def main() -> int:
    """Enable the extension, run the command, take everything back."""
    register()
    try:
        return command.run(sys.argv[1:])
    finally:
        unregister()


if __name__ == "__main__":
    sys.exit(main())
