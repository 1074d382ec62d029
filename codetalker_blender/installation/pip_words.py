"""What pip wrote -> one sentence about why it stopped."""

from __future__ import annotations

import re


def why_pip_stopped(log: str) -> str:
    """What pip's or venv's log means, as the end of a sentence."""
    if re.search(r"No space left on device|Errno 28|Disk quota exceeded", log):
        return "the disk is full; free some space and run it again."
    if re.search(
        r"ConnectionError|[Nn]ame ?[Rr]esolution|Max retries|[Tt]imed? ?out|ProxyError|[Cc]onnection ", log
    ):
        return "the package index did not answer; check the network and run it again."
    missing = re.search(r"No matching distribution found for ([^\s;]+)", log)
    if missing:
        return f"the package index has no {missing[1]} for this machine and this Python."
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "Error"))]
    return f"{(errors or lines or ['it stopped without a word'])[-1].strip()[:300].rstrip('.')}."
