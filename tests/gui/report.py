"""What the sessions found -> report.json and a table.  Outside Blender; standard library only."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Report:
    """What is known so far; ``sessions`` holds what session.py wrote, and how its Blender ended."""

    blender: str
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)

    def check(self, name: str, fault: str) -> None:
        """Count one check; `fault` says what is wrong, "" when nothing is."""
        if fault:
            self.failed += 1
            print(f"FAILED {name}: {fault}", flush=True)
        else:
            self.passed += 1
            print(f"PASSED {name}", flush=True)

    def skip(self, what: str, reason: str) -> None:
        self.skipped.append(f"{what}: {reason}")
        print(f"SKIPPED {what}: {reason}", flush=True)

    def add_suite(self, junit: Path, status: int) -> None:
        """Count pytest's results; a run that left none has failed."""
        if not junit.is_file():
            self.check("tests/blender", f"it ended with {status} and left no results")
            return
        counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        for suite in ElementTree.parse(junit).getroot().iter("testsuite"):
            for name in counts:
                counts[name] += int(suite.get(name, "0"))
        bad = counts["failures"] + counts["errors"]
        self.passed += counts["tests"] - bad - counts["skipped"]
        self.failed += bad
        if status and not bad:
            self.check("tests/blender", f"every test passed and Blender ended with {status}")

    def add_session(self, found: dict[str, Any]) -> None:
        self.sessions.append(found)
        for act in found["acts"]:
            self.check(f"{act['name']} ({act['seconds']:.1f} s)", act["said"])

    def write(self, path: Path) -> None:
        found = {
            "blender": self.blender, "passed": self.passed, "failed": self.failed,
            "skipped": self.skipped, "sessions": self.sessions,
        }  # fmt: skip
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def table(self) -> str:
        """The figures, one line each; a bar that is missed is told, and fails nothing: machines differ."""
        rows = [
            (
                figure["name"],
                f"{figure['value']:.3g} {figure['unit']}",
                f"at most {figure['bar']:g}" if figure["bar"] is not None else "",
                "over" if figure["bar"] is not None and figure["value"] > figure["bar"] else "",
            )
            for session in self.sessions
            for figure in session["figures"]
        ]
        if not rows:
            return ""
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        padded = [[*map(str.ljust, row[:3], widths), row[3]] for row in rows]
        return "\n".join("  ".join(row).rstrip() for row in padded)
