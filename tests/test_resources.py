"""Model names lead to folders, in a checkout and in an installed package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codetalker_blender import resources
from codetalker_blender.errors import BundleError, UserError

ROOT = Path(__file__).resolve().parents[1]


def make_bundle(folder: Path, text: str = "{}") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text)
    return folder


def test_the_checkout_finds_its_assets() -> None:
    assert resources.assets_folder() == ROOT / "assets"
    with pytest.raises(UserError, match=r"nowhere\.bin"):
        resources.shipped("nowhere.bin")


def test_an_installed_package_finds_its_own_assets(tmp_path: Path) -> None:
    package = tmp_path / "site" / "codetalker_blender"
    package.mkdir(parents=True)
    for name in ("errors", "contracts", "model_files", "resources"):
        shutil.copy(ROOT / "codetalker_blender" / f"{name}.py", package)
    make_bundle(package / "assets" / "models" / "default")
    make_bundle(tmp_path / "site" / "assets" / "models" / "other")
    script = "from codetalker_blender import resources; print(resources.default_model())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == package / "assets" / "models" / "default"


def test_the_users_models_are_listed_after_the_shipped_ones(tmp_path: Path) -> None:
    shipped = resources.list_models()
    mine = [make_bundle(tmp_path / name) for name in ("b", "a")]
    (tmp_path / "no model").mkdir()
    assert resources.list_models(tmp_path) == shipped + sorted(mine)
    assert resources.list_models(tmp_path / "absent") == shipped


def test_names_and_folders_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "library"
    mine = make_bundle(library / "mein Modell")
    elsewhere = make_bundle(tmp_path / "elsewhere" / "bundle")
    assert resources.find_model("mein Modell", library) == mine
    assert resources.find_model(str(elsewhere), library) == elsewhere
    # The name wins over a folder of the current directory; ./ asks for the folder.
    make_bundle(tmp_path / "mein Modell")
    monkeypatch.chdir(tmp_path)
    assert resources.find_model("mein Modell", library) == mine
    assert resources.find_model("./mein Modell", library) == Path("mein Modell")


def test_unknown_names_list_what_there_is(tmp_path: Path) -> None:
    make_bundle(tmp_path / "library" / "mine")
    with pytest.raises(BundleError, match=r"'nosuch'.*mine"):
        resources.find_model("nosuch", tmp_path / "library")
    (tmp_path / "plain").mkdir()
    with pytest.raises(BundleError, match=r"holds no config\.json"):
        resources.find_model(str(tmp_path / "plain"), tmp_path / "library")
    with pytest.raises(BundleError):
        resources.find_model("", None)


def test_folders_that_the_disk_refuses(tmp_path: Path) -> None:
    long = "a" * 300
    with pytest.raises(BundleError, match=f"{long}.*too long"):
        resources.find_model(long)
    with pytest.raises(BundleError, match=f"{long}.*too long"):
        resources.find_model(f"{long}/model", tmp_path)
    assert resources.list_models(tmp_path / long) == resources.list_models()
