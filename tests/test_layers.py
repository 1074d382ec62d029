"""The import table of docs/architecture.md, held against every import in the code.

Imports are read from the syntax tree, so those inside functions and under TYPE_CHECKING count too.
"""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "codetalker_blender"
BOTTOM = frozenset(
    (
        "contracts errors resources model_files model_library disk array_files text_files motion_files "
        "staging standard_streams"
    ).split()
)
MAXIMUM_LINES = 450


@dataclass(frozen=True)
class Layer:
    """What the modules of one layer may import, besides the standard library.

    own: modules or folders of the package ("engine" means everything in it)
    foreign: libraries
    lazily: the same for both, but only inside a function or under TYPE_CHECKING
    """

    own: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    lazily: frozenset[str] = frozenset()


def layer(own: frozenset[str], foreign: str = "", lazily: str = "") -> Layer:
    return Layer(own, frozenset(foreign.split()), frozenset(lazily.split()))


BLENDER_BELOW = BOTTOM | frozenset(
    (
        "face batch installation checkup "
        "job.client job.process job.host job.estimate job.messages job.failures"
    ).split()
)
BLENDER_FOREIGN = "numpy bpy bpy_extras bmesh mathutils gpu gpu_extras blf aud addon_utils bl_ui bl_operators"
#: The files and folders of blender/, each with what it may import of those above it.
BLENDER_FOLDERS = {
    "compat": "",
    "preferences": "",
    "buttons": "compat",
    "layout": "",
    "writing": "compat",
    "bundles": "compat preferences buttons",
    "mesh": "compat buttons writing bundles",
    "sound": "compat writing",
    "retargeting": "compat preferences buttons writing bundles mesh",
    "properties": "compat preferences bundles sound retargeting",
    "runs": "compat preferences buttons writing bundles mesh sound retargeting",
    "interchange": "compat buttons writing mesh sound retargeting",
    "setup": "compat preferences buttons layout runs",
    "sidebar": (
        "compat preferences buttons layout writing bundles mesh sound retargeting properties runs "
        "interchange setup"
    ),
    "headless": "compat preferences writing bundles mesh sound retargeting properties runs interchange",
    "command_line": "preferences bundles mesh runs interchange setup headless",
}  # __init__, command and __main__ may import all
BLENDER = {
    f"blender.{name}": layer(
        BLENDER_BELOW | {f"blender.{other}" for other in (name, *above.split())}, BLENDER_FOREIGN
    )
    for name, above in BLENDER_FOLDERS.items()
}
JOB_BELOW = frozenset("job.messages job.failures job.job_files job.lines".split())
#: Longest prefix wins: "job.worker" before "job"; "" is the package's own __init__.
LAYERS = {
    "": layer(frozenset(), lazily="blender"),
    **{name: layer(BOTTOM, "numpy") for name in BOTTOM},
    "engine": layer(BOTTOM | {"engine"}, "numpy torch transformers soundfile safetensors"),
    "face": layer(BOTTOM | {"face"}, "numpy"),
    "street": layer(BOTTOM | {"engine", "face.curves"}, "numpy"),
    "official_import": layer(BOTTOM | {"street", "engine", "face"}),
    "installation": layer(BOTTOM | {"installation"}),
    "checkup": layer(BOTTOM | {"installation", "job.client", "job.failures", "job.process"}, "numpy"),
    "batch": layer(BOTTOM | {"batch"}),
    "batch.cluster": layer(BOTTOM | {"batch"}, lazily="ray"),
    "cli": layer(BOTTOM | {"street", "engine", "face", "batch", "checkup"}, "numpy"),
    "__main__": layer(BOTTOM | {"cli", "street", "engine", "face"}, "numpy"),
    "job": layer(frozenset()),
    "job.messages": layer(BOTTOM),
    "job.failures": layer(BOTTOM | {"job.messages"}),
    "job.job_files": layer(BOTTOM | {"job.messages"}, "numpy"),
    "job.lines": layer(BOTTOM | {"job.job_files", "job.messages"}),
    "job.process": layer(BOTTOM | {"job.lines", "job.messages"}),
    "job.client": layer(BOTTOM | JOB_BELOW | {"job.process"}, lazily="job.worker street"),
    "job.host": layer(BOTTOM | {"job.client"}),
    "job.estimate": layer(frozenset()),
    "job.worker": layer(BOTTOM | JOB_BELOW | {"street", "official_import", "engine", "face"}),
    **BLENDER,
    "blender": layer(BLENDER_BELOW | {"blender"}, BLENDER_FOREIGN),
}


@dataclass(frozen=True)
class Import:
    """One import: `target` is a dotted name, `own` says whether it lies in the package.

    lazy: inside a function or under TYPE_CHECKING; typing: under TYPE_CHECKING
    """

    line: int
    target: str
    own: bool
    lazy: bool
    typing: bool
    absolute_self: bool = False


def imports_in(source: str, module: tuple[str, ...], is_package: bool) -> Iterator[Import]:
    """Every import of one file of the package; `module` is its name below the package."""

    def visit(node: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
        typing = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        inside = typing or lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    own = alias.name.split(".")[0] == PACKAGE
                    yield Import(child.lineno, alias.name, own, inside, typing, absolute_self=own)
            elif isinstance(child, ast.ImportFrom) and child.level == 0:
                own = (child.module or "").split(".")[0] == PACKAGE
                yield Import(child.lineno, child.module or "", own, inside, typing, absolute_self=own)
            elif isinstance(child, ast.ImportFrom):
                base = module if is_package else module[:-1]
                base = base[: len(base) - (child.level - 1)]
                for alias in child.names:
                    # `from . import names` names modules; `from .names import X` may name a module too
                    parts = [*base, *filter(None, [child.module]), alias.name]
                    yield Import(child.lineno, ".".join(parts), True, inside, typing)
            yield from visit(child, inside, typing)

    yield from visit(ast.parse(source), False, False)


def layer_of(module: tuple[str, ...]) -> Layer:
    for end in range(len(module), 0, -1):
        if ".".join(module[:end]) in LAYERS:
            return LAYERS[".".join(module[:end])]
    return LAYERS[""]


def covers(allowed: frozenset[str], target: str) -> bool:
    return any(target == name or target.startswith(f"{name}.") for name in allowed)


def violations(root: Path) -> list[str]:
    """Every arrow in `root`'s package, training/ and tests/ that the table does not hold."""
    found = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        name = path.relative_to(root / PACKAGE).with_suffix("").parts
        is_package = name[-1] == "__init__"
        module = name[:-1] if is_package else name
        if module and not any(".".join(module[:end]) in LAYERS for end in range(1, len(module) + 1)):
            found.append(f"{path.relative_to(root)}: no layer of the table holds this module")
            continue
        allowed = layer_of(module)
        for one in imports_in(path.read_text(encoding="utf-8"), module, is_package):
            where = f"{path.relative_to(root)}:{one.line}"
            if one.absolute_self:
                found.append(f"{where} imports itself by its full name {one.target}; write it relative")
            elif one.own:
                lazily = allowed.lazily if one.lazy else frozenset()
                inside = is_package and one.target.startswith(".".join(module) + ".") and bool(module)
                if not inside and not covers(allowed.own | lazily, one.target):
                    found.append(f"{where} imports {one.target}")
            elif one.target.split(".")[0] not in sys.stdlib_module_names:
                lazily = allowed.lazily if one.lazy else frozenset()
                if not covers(allowed.foreign | lazily, one.target):
                    found.append(f"{where} imports {one.target}")
    # training and tests stand above the package, and nothing stands on tests or on build.py
    for path in sorted((root / "training").rglob("*.py")):
        for one in imports_in(path.read_text(encoding="utf-8"), ("training",), False):
            top, rest = one.target.split(".")[0], one.target.split(".")[1:2]
            if not one.own and top in ("tests", "build"):
                found.append(f"{path.relative_to(root)}:{one.line} imports {one.target}")
            if one.absolute_self and rest and rest[0] not in BOTTOM | {"engine", "face", "official_import"}:
                found.append(f"{path.relative_to(root)}:{one.line} imports {one.target}")
    return found


def cycles(root: Path) -> list[list[str]]:
    """Groups of modules of `root`'s package that import each other, be it inside functions; types may."""
    files = {
        path.relative_to(root / PACKAGE).with_suffix("").parts: path
        for path in sorted((root / PACKAGE).rglob("*.py"))
    }
    modules = {".".join(name[:-1] if name[-1] == "__init__" else name) for name in files}
    arrows: dict[str, set[str]] = {}
    for name, path in files.items():
        is_package = name[-1] == "__init__"
        module = name[:-1] if is_package else name
        targets = arrows[".".join(module)] = set()
        for one in imports_in(path.read_text(encoding="utf-8"), module, is_package):
            parts = one.target.split(".")
            ends = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
            found = next((end for end in ends if end in modules), None)
            if one.own and not one.typing and found is not None:
                targets.add(found)
    try:
        list(graphlib.TopologicalSorter(arrows).static_order())
    except graphlib.CycleError as error:
        return [list(dict.fromkeys(error.args[1]))]
    return []


def test_every_import_is_in_the_table() -> None:
    assert violations(ROOT) == []


def test_no_modules_import_each_other() -> None:
    assert cycles(ROOT) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    for name, source in (
        ("a", "from . import b"),
        ("b", "def f():\n    from .c import g"),
        ("c", "from .a import h"),
    ):
        path = tmp_path / PACKAGE / "face" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    (found,) = cycles(tmp_path)
    assert set(found) == {"face.a", "face.b", "face.c"}


def test_the_folders_of_blender_stand_in_an_order() -> None:
    """Each names only what is above it, and all that there are stand in the table."""
    above: set[str] = set()
    for name, others in BLENDER_FOLDERS.items():
        assert set(others.split()) <= above, name
        above.add(name)
    present = (ROOT / PACKAGE / "blender").glob("[!_.]*")  # what enables all of it is above all
    found = {path.stem for path in present if path.is_file() or list(path.rglob("*.py"))}
    assert found - {"command"} == above, "the entry command imports all, like __init__"


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("engine/query.py", "import bpy", "imports bpy"),
        ("engine/query.py", "def f():\n    import bpy", "imports bpy"),
        ("engine/query.py", "from ..face import transfer", "imports face.transfer"),
        ("engine/query.py", "from ..blender.keys import write", "imports blender.keys.write"),
        ("face/transfer.py", "import torch", "imports torch"),
        ("face/transfer.py", "from torch.nn import Module", "imports torch.nn"),
        ("face/transfer.py", "def f():\n    import mathutils", "imports mathutils"),
        ("face/fit.py", "import mathutils", "imports mathutils"),
        ("face/curves.py", "from ..engine.audio import read", "imports engine.audio.read"),
        ("blender/sidebar/panels.py", "import torch", "imports torch"),
        (
            "blender/sidebar/panels.py",
            "def f():\n    from ...engine import generate",
            "imports engine.generate",
        ),
        ("blender/sidebar/panels.py", "from ...job import worker", "imports job.worker"),
        ("blender/writing/keys.py", "from ..retargeting import tuning", "imports blender.retargeting"),
        ("blender/mesh/target.py", "def f():\n    from ..sidebar import presets", "imports blender.sidebar"),
        ("blender/compat.py", "from . import preferences", "imports blender.preferences"),
        ("blender/headless/clip.py", "from ..sidebar.operators import X", "imports blender.sidebar"),
        ("batch/pool.py", "from ...street import run", "imports street.run"),
        ("batch/pool.py", "def f():\n    import ray", "imports ray"),
        ("batch/manifest.py", "import bpy", "imports bpy"),
        (
            "blender/sidebar/panels.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ...street import run",
            "imports street.run",
        ),
        ("job/client.py", "from .worker import main", "imports job.worker.main"),
        ("job/client.py", "import torch", "imports torch"),
        ("job/client.py", "from ..street import ModelCache", "imports street.ModelCache"),
        ("contracts.py", "from .engine import bundle", "imports engine.bundle"),
        ("contracts.py", "import scipy", "imports scipy"),
        ("__init__.py", "from . import blender", "imports blender"),
        ("engine/query.py", f"from {PACKAGE}.contracts import Motion", "by its full name"),
        ("engine/query.py", f"import {PACKAGE}", "by its full name"),
        ("engine/query.py", "import training.losses", "imports training.losses"),
        ("installation/plan.py", "import numpy", "imports numpy"),
        ("installation/plan.py", "from ..job import client", "imports job.client"),
        ("stray.py", "import json", "no layer"),
        ("blender/bundles/imports.py", "from ... import official_import", "imports official_import"),
        ("../training/loop.py", "from tests.engine import tiny", "imports tests.engine"),
        ("../training/loop.py", f"from {PACKAGE}.blender import keys", f"imports {PACKAGE}.blender"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, file: str, source: str, complaint: str) -> None:
    path = tmp_path / PACKAGE / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    (found,) = violations(tmp_path)
    assert complaint in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("__init__.py", "def register():\n    from . import blender"),
        ("blender/__init__.py", "from . import panels\nfrom ..job import client"),
        ("blender/sidebar/presets.py", "from bl_operators.presets import AddPresetBase"),
        (
            "engine/query.py",
            "import math\nimport torch\nfrom .layers import Block\nfrom ..contracts import Motion",
        ),
        ("job/client.py", "def host():\n    from .worker import main"),
        ("job/client.py", "if TYPE_CHECKING:\n    from ..street import ModelCache"),
    ],
)
def test_a_right_arrow_is_not(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / PACKAGE / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert violations(tmp_path) == []


def test_the_table_of_blenders_folders_is_the_one_in_the_docs() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    written: dict[str, set[str]] = {}
    for line in text.partition("| in `blender/` |")[2].partition("\n\n")[0].splitlines()[2:]:
        (name, *more), _, allowed = (re.findall(r"`(\w+)/?`", cell) for cell in line.split("|")[1:4])
        if not more:  # those that may import all stand in one row
            written[name] = set(written) - set(allowed) if "all above" in line else set(allowed)
    assert written == {name: set(above.split()) for name, above in BLENDER_FOLDERS.items()}


def python_files() -> list[Path]:
    folders = (".build", PACKAGE, "training", "tests", "assets")
    return [ROOT / "build.py", *(path for name in folders for path in sorted((ROOT / name).rglob("*.py")))]


def test_files_stay_short_and_have_a_noun() -> None:
    vague = {"utils", "helpers", "common", "misc", "util", "helper"}
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in python_files()}
    assert {path.name: n for path, n in lines.items() if n > MAXIMUM_LINES} == {}
    assert [path for path in lines if path.stem in vague or path.parent.name in vague] == []


def test_the_code_never_edits_the_search_path() -> None:
    edited = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / PACKAGE).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"
    ]
    assert edited == []
