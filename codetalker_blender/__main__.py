"""``python -m codetalker_blender``: the command line without Blender (see cli.py)."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
