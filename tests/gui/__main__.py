"""Install the built zip in a real Blender, run tests/blender there and play the acts in its window.

    python -m tests.gui BLENDER ZIP [--only suite|window|ACT ...] [pytest arguments]

BLENDER is a program, or a folder that holds a whole Linux system with one.  Ends with pytest's kind of
line and 0, or 1 when something failed; pictures, figures and logs are in build/screens/.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.gui import chroot, display, extension, suite
from tests.gui.program import ROOT, Program, call
from tests.gui.report import Report

SCREENS = ROOT / "build" / "screens"
#: Sessions are Blenders one after the other; each plays its acts and quits.
SESSIONS = {
    "first-use": [
        "first_animation.button",
        "reopening.remember",
        "tuning_act.slider",
        "tuning_act.compact",
        "tuning_act.remove",
        "first_animation.undo_and_redo",
        "preview_act.moves",
        "styles_act.keyframed_mix",
        "existing_act.demo_head",
        "queue_act.two_heads",
        "interruptions.escape_then_again",
        "interruptions.another_file",
        "interruptions.target_removed",
        "interruptions.quit_in_the_middle",
    ],
    "second-use": [
        "reopening.speaks_as_before",
        "other_panels.active_strip",
        "other_panels.demo_head",
        "other_panels.preferences",
        "large_face.figures",
        "hosted_act.worst_tick",
    ],
    "panels": [
        "panels_act.layers",
        "panels_act.error",
        "panels_act.bones",
        "panels_act.topology",
    ],
    "files": ["files_act.export_and_import"],
    "by-mouse": ["interruptions.cancel_button", "presets_act.kept_and_loaded"],
}
#: Those that the X server's own mouse plays, where Blender's event simulator plays the others.
BY_MOUSE = ("by-mouse",)
#: So often the long speech says the demo sentence.
_REPEATED = 12
_LENGTHEN = """
import sys, numpy, soundfile
samples, rate = soundfile.read(sys.argv[1], dtype="int16")
soundfile.write(sys.argv[2], numpy.tile(samples, int(sys.argv[3])), rate)
"""
_SUITE_LIMIT_S, _SESSION_LIMIT_S = 1800.0, 600.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.gui", description=__doc__, allow_abbrev=False)
    parser.add_argument("blender")
    parser.add_argument("archive", type=Path)
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="NAME", help="the suite, all acts in the window, or some"
    )
    options, extra = parser.parse_known_args()
    if Path(options.blender).is_dir():
        return _inside(Path(options.blender).resolve(), sys.argv[2:])
    program = shutil.which(options.blender)
    if program is None:
        print(f"tests.gui: '{options.blender}' is no program and no system's folder", file=sys.stderr)
        return 2
    shutil.rmtree(SCREENS, ignore_errors=True)
    SCREENS.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="codetalker-gui-", ignore_cleanup_errors=True) as folder:
        return _test(Program(program, Path(folder), Path(sys.executable)), options, extra)


def _inside(root: Path, arguments: list[str]) -> int:
    """The same, inside a folder with a system of its own."""
    if not chroot.is_system(root):
        print(f"tests.gui: {root} holds no usr/bin/blender", file=sys.stderr)
        return 2
    reason = chroot.missing()
    if reason:
        print(f"SKIPPED the tests in {root}: {reason}.")
        return 0
    archive, *rest = arguments
    command = [sys.executable, "-m", "tests.gui", "blender", str(Path(archive).resolve()), *rest]
    return chroot.run_inside(root, command, (ROOT, Path(sys.prefix), Path(sys.base_prefix)), ROOT)


def _test(program: Program, options: argparse.Namespace, extra: list[str]) -> int:
    report = Report(program.version())
    print(f"tests.gui: Blender {report.blender} at {program.blender}, engine {program.engine}", flush=True)
    enabled = program.install(options.archive.resolve(), SCREENS / "install.log")
    fault = "" if enabled else f"Blender does not enable it; see {SCREENS / 'install.log'}"
    report.check(f"{options.archive.name} installs", fault)
    if enabled and (not options.only or "suite" in options.only):
        _run_suite(program, report, extra)
    everything = not options.only or "window" in options.only
    sessions = {
        name: [act for act in acts if everything or act.startswith(tuple(options.only))]
        for name, acts in SESSIONS.items()
    }
    if enabled and any(sessions.values()):
        _run_sessions(program, report, sessions)
    report.write(SCREENS / "report.json")
    print(report.table())
    print(f"tests.gui: pictures, figures and logs are in {SCREENS.relative_to(ROOT)}")
    line = f"{report.passed} passed, {report.failed} failed, {len(report.skipped)} skipped"
    print(f"== Blender {report.blender}: {line}", flush=True)
    return 1 if report.failed else 0


def _run_suite(program: Program, report: Report, extra: list[str]) -> None:
    pytest_folder, junit = program.home / "pytest", SCREENS / "suite.xml"
    suite.copy_pytest(pytest_folder)
    # short: a test's arguments may be Blender's data that is gone, and to print that would crash Blender
    arguments = ["-p", "no:cacheprovider", "--tb=short", f"--junitxml={junit}", f"--rootdir={ROOT}"]
    if not any((ROOT / part.split("::")[0]).exists() for part in extra):
        arguments.append("tests/blender")
    status = program.call("suite.run", pytest_folder, [*arguments, *extra], limit_s=_SUITE_LIMIT_S)
    report.add_suite(junit, status)


def _run_sessions(program: Program, report: Report, sessions: dict[str, list[str]]) -> None:
    reason = display.missing()
    if reason:
        report.skip("the acts in a window", reason)
        return
    project = program.home / "project"
    (project / "speech").mkdir(parents=True)
    for name in ("demo_head.blend", "speech/demo.flac"):
        shutil.copy2(ROOT / "assets" / name, project / name)
    speech = str(project / "speech" / "demo.flac"), str(project / "speech" / "long.wav"), str(_REPEATED)
    subprocess.run([str(program.engine), "-c", _LENGTHEN, *speech], check=True, timeout=120)
    with display.display(SCREENS / "xvfb.log") as screen:
        for name, acts in ((name, acts) for name, acts in sessions.items() if acts):
            _run_session(program, report, name, acts, screen)


def _run_session(program: Program, report: Report, name: str, acts: list[str], screen: str) -> None:
    results, log = SCREENS / f"{name}.json", SCREENS / f"{name}.log"
    by_mouse = name in BY_MOUSE
    code = call("session.start", name, acts, program.home / "project", SCREENS, results, not by_mouse)
    window = ["--window-geometry", "0", "0", str(display.WIDTH), str(display.HEIGHT)]
    simulator = [] if by_mouse else ["--enable-event-simulate"]  # with it, a mouse does nothing
    arguments = [*simulator, *window, "--python-expr", code]
    status = program.run(arguments, _SESSION_LIMIT_S, log, DISPLAY=screen)
    found = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else None
    if found is None:
        report.check(name, f"Blender ended with {status} before the first act; see {log}")
        return
    report.add_session(found)
    report.check(f"{name}: every act was played", "" if len(found["acts"]) == len(acts) else f"see {log}")
    report.check(f"{name}: Blender quits", "" if status == 0 else f"it ended with {status}; see {log}")
    orphans = extension.alive_workers(found["workers"])
    report.check(f"{name}: no worker process stays", f"{orphans} are alive" if orphans else "")
    tracebacks = log.read_text(encoding="utf-8", errors="replace").count("Traceback (most recent call last)")
    expected = sum(1 for act in found["acts"] if not act["passed"])
    fault = f"{tracebacks} in {log}" if tracebacks > expected else ""
    report.check(f"{name}: no traceback", fault)


if __name__ == "__main__":
    sys.exit(main())
