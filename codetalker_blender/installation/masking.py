"""Text that may be shown to strangers: the user's home folder, which holds a name, becomes ``~``."""

from __future__ import annotations

import os
import re
from pathlib import Path


def masked(text: str) -> str:
    """``text`` with every spelling of the home folder replaced."""
    home = Path.home()
    homes = {str(home), str(home.resolve()), os.environ.get("USERPROFILE", "")}
    homes |= {name.replace("\\", "/") for name in homes} | {name.replace("\\", "\\\\") for name in homes}
    flags = re.IGNORECASE if os.name == "nt" else 0
    for name in sorted(homes, key=len, reverse=True):
        # A home of "/" or "C:\" names nobody; a longer name that begins alike is somebody else's.
        if len(name.rstrip("/\\")) > 2:
            text = re.sub(re.escape(name.rstrip("/\\")) + r"(?![\w.-])", "~", text, flags=flags)
    return text
