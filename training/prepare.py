"""Check a data set without training on it: what is in it, and what is wrong with which file.

    python -m training.prepare vocaset|biwi|folder|blendshapes|synthetic PATH [options]

Every sound and every frame is read once, one clip at a time.  Exit code 0 when the data set can be
used, 2 when it cannot; every problem is then printed with its file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codetalker_blender.disk import explained
from codetalker_blender.errors import UserError
from codetalker_blender.text_files import write_text
from training.data_source import SYNTHETIC, add_source_options, positive, survey
from training.datasets import clip as clips
from training.datasets.clip import Clip
from training.datasets.recordings import DatasetProblems, Problem, Survey, examine
from training.datasets.splits import TRAIN
from training.datasets.synthetic import DEFAULT_CACHE, DEFAULT_MINUTES, build

#: Largest offset of any vertex that a speaking face plausibly reaches; outside it the units are in doubt.
PLAUSIBLE_MM = (2.0, 150.0)
_KINDS = {
    "vocaset": "raw (data_verts.npy and pickles) or processed (vertices_npy, wav)",
    "biwi": "vertices_npy, wav, templates.pkl",
    "folder": "vertices_npy, wav, templates and a splits.json",
    "blendshapes": "curves, wav and a splits.json, on a head that has the shapes",
    SYNTHETIC: "the made corpus; PATH is its cache, and what is not there is made",
}


@dataclass
class SplitReport:
    """Good clips of one split; bad: clips with problems, which no other number counts."""

    clips: int = 0
    bad: int = 0
    seconds: float = 0.0
    speakers: dict[str, list[float]] = field(default_factory=dict)

    def add(self, speaker: str, seconds: float) -> None:
        """Count one good clip."""
        self.clips += 1
        self.seconds += seconds
        count = self.speakers.setdefault(speaker, [0.0, 0.0])
        count[0] += 1
        count[1] += seconds


@dataclass
class Report:
    """What was found.

    problems: what keeps the data set from use; left_out: what --skip-bad passes over;
    notes: worth knowing, no reason to refuse
    """

    kind: str
    path: Path
    vertices: int = 0
    fps: float = 0.0
    styles: tuple[str, ...] = ()
    splits: dict[str, SplitReport] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return not self.problems

    @property
    def speakers(self) -> dict[str, list[float]]:
        """Speaker -> clips and seconds in all splits."""
        total: dict[str, list[float]] = {}
        for split in self.splits.values():
            for speaker, (count, seconds) in split.speakers.items():
                sums = total.setdefault(speaker, [0.0, 0.0])
                sums[0] += count
                sums[1] += seconds
        return dict(sorted(total.items()))


def check(
    kind: str,
    path: Path,
    survey: Callable[[], Survey],
    *,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Examine everything that ``survey`` lists; progress(done, total) after each clip."""
    report = Report(kind, path)
    try:
        listed = survey()
    except DatasetProblems as error:
        report.problems += error.problems
        return report
    except UserError as error:
        report.problems.append(Problem(".", str(error)))
        return report
    report.vertices, report.fps, report.styles = listed.face.vertex_count, listed.fps, listed.styles
    report.splits = {split: SplitReport() for split in listed.splits}
    report.problems += listed.problems
    found = report.left_out if skip_bad else report.problems
    reach = (0.0, "")
    for done, recording in enumerate(listed.recordings, 1):
        read = examine(recording, listed.fps, thorough=True)
        reach = max(reach, (read.reach_mm, recording.name))
        found += read.problems
        if read.clip is None or read.problems:
            report.splits[recording.split].bad += 1
        else:
            report.splits[recording.split].add(recording.speaker, read.clip.waveform.duration_s)
        progress(done, len(listed.recordings))
    if reach[0] > 0:
        report.notes.append(f"vertices move up to {reach[0]:.1f} mm from the template (clip '{reach[1]}').")
        if not PLAUSIBLE_MM[0] <= reach[0] <= PLAUSIBLE_MM[1]:
            report.notes[-1] += " No speaking face does that: check the units and the templates."
    if listed.outside:
        shown = ", ".join(listed.outside[:5]) + (", …" if len(listed.outside) > 5 else "")
        report.notes.append(f"recordings in no split: {len(listed.outside)} ({shown}).")
    _note_splits(report)
    return report


def check_synthetic(
    cache: Path, head: Path, seed: int, minutes: float | None, say: Callable[[str], None]
) -> Report:
    """Make or read every split of the made corpus and examine it."""
    report = Report(SYNTHETIC, cache)
    for split in DEFAULT_MINUTES:
        report.splits[split] = SplitReport()
        try:
            dataset = build(seed, minutes, split=split, cache_dir=cache, head_dir=head, report=say)
        except UserError as error:
            report.problems.append(Problem(split, str(error)))
            continue
        found = clips.problems(dataset)
        report.problems += [Problem(split, text) for text in found]
        report.vertices, report.styles = dataset.face.vertex_count, dataset.styles
        for clip in dataset.clips:
            report.fps = clip.fps
            _count(report.splits[split], clip, found)
    _note_splits(report)
    return report


def _count(split: SplitReport, clip: Clip, found: Sequence[str]) -> None:
    if any(text.startswith(f"Clip '{clip.name}':") for text in found):
        split.bad += 1
    else:
        split.add(clip.voice, clip.waveform.duration_s)


def _note_splits(report: Report) -> None:
    """Splits without clips, and speakers without a style."""
    for name, split in report.splits.items():
        if split.clips:
            continue
        text = f"there is no usable clip in the split '{name}'."
        if name == TRAIN:
            report.problems.append(Problem(".", text))
        else:
            report.notes.append(text)
    if report.kind != SYNTHETIC:
        strangers = [speaker for speaker in report.speakers if speaker not in report.styles]
        if strangers:
            report.notes.append(f"speakers without a style of their own (style 0): {', '.join(strangers)}.")


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values."""

    def counts(values: dict[str, list[float]]) -> dict[str, Any]:
        return {name: {"clips": int(n), "hours": s / 3600.0} for name, (n, s) in sorted(values.items())}

    return {
        "kind": report.kind,
        "path": str(report.path),
        "usable": report.usable,
        "clips": sum(split.clips for split in report.splits.values()),
        "hours": sum(split.seconds for split in report.splits.values()) / 3600.0,
        "fps": report.fps,
        "vertices": report.vertices,
        "styles": list(report.styles),
        "speakers": counts(report.speakers),
        "splits": {
            name: {
                "clips": split.clips, "bad_clips": split.bad, "hours": split.seconds / 3600.0,
                "speakers": counts(split.speakers),
            }
            for name, split in report.splits.items()
        },
        "problems": [{"file": p.file, "text": p.text} for p in report.problems],
        "left_out": [{"file": p.file, "text": p.text} for p in report.left_out],
        "notes": report.notes,
    }  # fmt: skip


def print_report(report: Report) -> None:
    """The summary, then notes, then every problem on a line of its own."""
    values = as_json(report)
    print(f"{report.kind} data set in {report.path}")
    if report.splits:
        print(
            f"{values['clips']} clips, {values['hours']:.2f} hours, {len(report.speakers)} speakers, "
            f"{report.vertices} vertices, {report.fps:g} frames per second"
        )
        print(f"styles: {', '.join(report.styles)}")
        print("split".ljust(14) + "clips".rjust(8) + "bad".rjust(6) + "hours".rjust(9) + "  speakers")
        for name, split in report.splits.items():
            speakers = ", ".join(f"{who} {int(n)}" for who, (n, _) in sorted(split.speakers.items()))
            print(f"{name:14}{split.clips:8}{split.bad:6}{split.seconds / 3600.0:9.2f}  {speakers}")
    for note in report.notes:
        print(f"note: {note}")
    for problem in report.left_out:
        print(f"left out: {problem}")
    for problem in report.problems:
        print(f"problem: {problem}")
    count = len(report.problems)
    verdict = "usable" if report.usable else f"not usable: {count} problem{'s' if count != 1 else ''}"
    print(f"The data set is {verdict}.")


def write_json(path: Path, report: Report) -> None:
    """All of it or nothing; the folder is made.  Raises OutputError."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(as_json(report), indent=1) + "\n")


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    result = argparse.ArgumentParser(
        prog="python -m training.prepare", description="Check a data set without training on it."
    )
    kinds = result.add_subparsers(dest="kind", required=True)
    for kind, holds in _KINDS.items():
        one = kinds.add_parser(kind, help=holds, description=f"{kind}: {holds}.")
        add = one.add_argument
        if kind == SYNTHETIC:
            add("path", type=Path, nargs="?", default=DEFAULT_CACHE, help="folder of the cache")
            add("--seed", type=int, default=0)
            add("--minutes", type=positive, help="speech per split (default: each split's own)")
        else:
            add("path", type=Path, help="the data set's folder")
        add_source_options(one, [kind])
        add("--json", type=Path, metavar="FILE", help="also write the report here")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when the data set is usable, else 2."""
    options = parser().parse_args(arguments)
    if options.kind == SYNTHETIC:
        report = check_synthetic(options.path, options.head, options.seed, options.minutes, print)
    else:

        def progress(done: int, total: int) -> None:
            if done % 100 == 0:
                print(f"{done} of {total} clips", file=sys.stderr)

        report = check(
            options.kind,
            options.path,
            lambda: survey(options.kind, options.path, options),
            skip_bad=options.skip_bad,
            progress=progress,
        )
    print_report(report)
    if options.json is not None:
        try:
            write_json(options.json, report)
        except UserError as error:
            print(error, file=sys.stderr)
            return 2
    return 0 if report.usable else 2


if __name__ == "__main__":
    raise SystemExit(main())
