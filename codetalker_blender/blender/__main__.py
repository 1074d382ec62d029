"""``python -m codetalker_blender.blender``: the same as its module ``command``."""

from __future__ import annotations

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
