"""build.py as a person meets it: its sentences, its package, its environments."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import build

ROOT = Path(build.__file__).resolve().parent


def run_build(*arguments: str, python: str = sys.executable, **variables: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one run of build.py."""
    done = subprocess.run(
        [python, str(ROOT / "build.py"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def one_sentence(stderr: str) -> str:
    """The only line on stderr."""
    (line,) = stderr.splitlines()
    assert line.startswith("build.py: ")
    return line


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A made checkout: the real package, manifest and licence, and stand-ins for the large assets."""
    root = tmp_path / "checkout"
    for name in ("blender_manifest.toml", "pyproject.toml", "LICENSE"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((ROOT / name).read_bytes())
    for path in (ROOT / build.PACKAGE).rglob("*.py"):
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (root / build.PACKAGE / "__init__.py").touch()
    cache = root / build.PACKAGE / "__pycache__"
    cache.mkdir()
    (cache / "x.pyc").touch()
    for pattern in build.SHIPPED_ASSETS:
        path = root / "assets" / pattern.replace("*", "made")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made for a test")
    (root / "assets" / "head" / "build_head.py").write_text("# a script that makes assets is not shipped")
    return root


def other_python() -> str:
    """A Python that is not the one build.py wants."""
    for version in ("3.13", "3.12", "3.10", "3.9", "3.8"):
        found = build.find_python(version)
        if found:
            return found
    pytest.skip("this machine has no other Python")


def test_another_python_is_refused_with_the_right_one_named() -> None:
    python = other_python()
    status, out, err = run_build("lint", python=python)
    assert (status, out) == (2, "")
    assert "Python 3.11 is needed" in one_sentence(err)


def test_another_python_is_refused_where_there_is_no_right_one(tmp_path: Path) -> None:
    nowhere = str(tmp_path)
    status, _, err = run_build("lint", python=other_python(), PATH=nowhere, HOME=nowhere, PYENV_ROOT=nowhere)
    assert status == 2
    assert "install it" in one_sentence(err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "COMMAND"),
        (("fly",), "'fly'"),
        (("lint", "--fast"), "'--fast'"),
        (("test", "--bpy", "1.2.3"), "bpy 1.2.3"),
        (("test", "--bpy", "4.2"), "full version"),
        (("install", "--blender", "/no/such/blender"), "/no/such/blender"),
        (("install", "--blender", "a", "--extensions", "b"), "not allowed with"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    status, out, err = run_build(*arguments)
    assert (status, out) == (2, "")
    assert words in one_sentence(err)


def test_a_blender_without_its_python_is_skipped_with_a_reason(tmp_path: Path) -> None:
    nowhere = str(tmp_path)
    status, out, _ = run_build("test", "--bpy", "5.2.3", PATH=nowhere, HOME=nowhere, PYENV_ROOT=nowhere)
    assert status == 0
    assert out.startswith("SKIPPED: bpy 5.2.3 needs Python 3.13")


def test_the_version_is_written_once() -> None:
    version = build.project_version(ROOT)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    pattern = project["tool"]["hatch"]["version"]["pattern"]
    source = (ROOT / project["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8")
    assert re.findall(pattern, source) == [version]
    repeated = [
        str(path.relative_to(ROOT))
        for path in [ROOT / "pyproject.toml", ROOT / "build.py", *(ROOT / build.PACKAGE).rglob("*.py")]
        if re.search(rf"version\w*\s*=.*\b{re.escape(version)}\b", path.read_text(encoding="utf-8"), re.I)
    ]
    assert repeated == []


def test_pins_are_exact_where_results_depend_on_them() -> None:
    pins = build.main_environment(ROOT).pins
    for name in ("torch", "transformers", "soundfile", "safetensors", "bpy"):
        assert [pin for pin in pins if re.match(rf"{name}==\d+(\.\d+)+$", pin)], name


def test_each_blender_gets_the_python_and_numpy_it_was_built_for() -> None:
    old = build.blender_environment(ROOT, "5.0.1")
    assert old.python == "3.11"
    assert {"bpy==5.0.1", "numpy<2"} <= set(old.pins)
    new = build.blender_environment(ROOT, "5.2.3")
    assert new.python == "3.13"
    assert {"bpy==5.2.3", "numpy>=2.2,<3"} <= set(new.pins)
    assert not [pin for pin in new.pins if pin.startswith(("torch", "transformers"))]


def test_an_environment_is_kept_until_its_pins_change(tmp_path: Path) -> None:
    # a pin that is there already needs no network
    environment = build.Environment(".venv-made", build.PYTHON, ("pip",))
    python = build.make_environment(tmp_path, environment)
    mark = tmp_path / ".venv-made" / "mark"
    mark.touch()
    log = tmp_path / "build" / "logs" / "venv-made.log"
    log.unlink()
    assert build.make_environment(tmp_path, environment) == python
    assert not log.exists(), "nothing was to be installed"
    changed = build.Environment(".venv-made", build.PYTHON, ("pip", "pip>1"))
    build.make_environment(tmp_path, changed)
    assert log.exists(), "changed pins are installed"
    assert mark.exists(), "into the environment that was there"


def test_an_interrupted_environment_is_taken_up_again(tmp_path: Path) -> None:
    folder = tmp_path / ".venv-made"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(tmp_path / "gone")
    python = build.make_environment(tmp_path, build.Environment(".venv-made", build.PYTHON, ("pip",)))
    assert build.asked_python(python, build.PYTHON, "pip") == str(python)


def test_a_package_that_cannot_be_had_leaves_no_good_environment(tmp_path: Path) -> None:
    impossible = build.Environment(".venv-made", build.PYTHON, (str(tmp_path / "no-such-package.whl"),))
    for _ in range(2):
        with pytest.raises(build.BuildError, match=r"\.venv-made could not be made: .*no-such-package"):
            build.make_environment(tmp_path, impossible)


def test_a_full_disk_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "NEEDED_GB", 1e9)
    with pytest.raises(build.BuildError, match=r"needs 1e\+09 GB of disk and \d+\.\d GB are free"):
        build.make_environment(tmp_path, build.Environment(".venv-made", build.PYTHON, ("pip",)))
    assert not (tmp_path / ".venv-made").exists()


def test_the_stage_holds_what_blender_needs_and_nothing_else(checkout: Path) -> None:
    staged = build.stage(checkout, checkout / "build" / "stage" / build.PACKAGE)
    files = {path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()}
    assert {"blender_manifest.toml", "pyproject.toml", "LICENSE", "__init__.py", "contracts.py"} <= files
    assert {f"assets/{pattern.replace('*', 'made')}" for pattern in build.SHIPPED_ASSETS} <= files
    assert not [name for name in files if "__pycache__" in name or name == "assets/head/build_head.py"]
    again = build.stage(checkout, staged)
    assert {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()} == files


def test_a_linked_stage_shows_edits_at_once(checkout: Path) -> None:
    staged = build.stage(checkout, checkout / "build" / "dev" / build.PACKAGE, link=True)
    (checkout / build.PACKAGE / "contracts.py").write_text("edited = True\n")
    assert (staged / "contracts.py").read_text() == "edited = True\n"
    build.stage(checkout, staged, link=True)
    assert (checkout / build.PACKAGE / "contracts.py").read_text() == "edited = True\n"


def test_install_dev_links_the_checkout_again_and_again(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROOT", checkout)
    extensions = tmp_path / "extensions"
    for _ in range(2):
        assert build.main(["install", "--dev", "--extensions", str(extensions)]) == 0
    (installed,) = (extensions / "user_default").iterdir()
    assert installed.name == build.PACKAGE
    assert (installed / "contracts.py").resolve() == checkout / build.PACKAGE / "contracts.py"
    assert (installed / "assets" / "models" / "default" / "config.json").is_file()


def test_a_missing_asset_stops_the_package_and_keeps_the_last_stage(checkout: Path) -> None:
    staged = build.stage(checkout, checkout / "build" / "stage" / build.PACKAGE)
    (checkout / "assets" / "models" / "default" / "model.safetensors").unlink()
    with pytest.raises(build.BuildError, match=r"model\.safetensors is missing"):
        build.stage(checkout, staged)
    assert (staged / "assets" / "models" / "default" / "model.safetensors").is_file()


def test_blenders_own_tool_builds_and_validates_the_package(checkout: Path) -> None:
    if importlib.util.find_spec("bpy") is None:
        pytest.skip("this Python has no bpy, whose extension tool builds the package")
    staged = build.stage(checkout, checkout / "build" / "stage" / build.PACKAGE)
    archive = checkout / "build" / "made.zip"
    build.build_zip(Path(sys.executable), staged, archive)
    with zipfile.ZipFile(archive) as file:
        names = set(file.namelist())
    assert {"blender_manifest.toml", "__init__.py", "assets/models/default/model.safetensors"} <= names

    manifest = staged / "blender_manifest.toml"
    manifest.write_text(manifest.read_text().replace('type = "add-on"', 'type = "spoon"'))
    with pytest.raises(build.BuildError, match=r"refused to build made\.zip"):
        build.build_zip(Path(sys.executable), staged, archive)
    assert not archive.exists()
