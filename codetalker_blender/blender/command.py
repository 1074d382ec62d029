"""``python -m codetalker_blender.blender.command``: Blender's command line in the bpy module.

Nothing else imports this: a module that is run must not be one that the extension registers.
"""

from __future__ import annotations

import sys

from . import command_line, register, unregister


def main() -> int:
    """Enable the extension, run the command, take everything back."""
    register()
    try:
        return command_line.run(sys.argv[1:])
    finally:
        unregister()


if __name__ == "__main__":
    sys.exit(main())
