"""What the demo head promises to the corpus, the training and the animator, in numbers.

Distances are millimetres unless a name says otherwise.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from .shipped_head import (
    ARKIT,
    HEAD,
    OCULUS,
    ROOT,
    Array,
    Head,
    components,
    directed_edges,
    left_eye,
    left_lid_edges,
    load,
    mirror,
    seam,
)

#: Shapes that leave closed lips closed.
CLOSED = sorted(
    name
    for name in ARKIT
    if name.startswith(("jaw", "mouth", "cheek", "nose"))
    and not name.startswith(("jawOpen", "mouthClose", "mouthFunnel", "mouthLowerDown", "mouthUpperUp"))
    and "Roll" not in name
)


@pytest.fixture
def head() -> Head:
    return load()


def test_size_and_axes(head: Head) -> None:
    low, high = head.rest.min(axis=0), head.rest.max(axis=0)
    assert 3000 <= head.face.vertex_count <= 6000
    assert high[2] - low[2] == pytest.approx(0.28, abs=0.005)
    nose = head.rest[head.rest[:, 1].argmin()]
    assert abs(nose[0]) < 1e-9 and 0.1 < nose[2] < 0.15, "the nose's tip looks along -Y"
    assert head.rest[head.face.lip_corners[0], 0] > 0 > head.rest[head.face.lip_corners[1], 0]
    assert all(len(head.face.regions[name]) for name in head.face.regions)


def test_every_part_stands_alone_and_the_skin_is_manifold(head: Head) -> None:
    # skin, two eyeballs, two arches of teeth, tongue, two brows
    assert len(np.unique(components())) == 8
    edges = directed_edges(head.face.triangles)
    _, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() == 1, "no edge is run through twice the same way: closed fans, one orientation"
    have = {tuple(edge) for edge in edges.tolist()}
    border = [edge for edge in have if edge[::-1] not in have]
    after = dict(border)
    assert len(after) == len(border), "no border touches itself"
    loops = 0
    while after:
        loops += 1
        vertex = next(iter(after))
        while vertex in after:
            vertex = after.pop(vertex)
    assert loops == 3, "open only at the neck's base and behind the two eyeballs"
    areas = np.cross(
        *(head.rest[head.face.triangles[:, k]] - head.rest[head.face.triangles[:, 0]] for k in (1, 2))
    )
    assert np.linalg.norm(areas, axis=1).min() > 1e-10
    assert np.einsum("ij,ij->", head.rest[head.face.triangles[:, 0]], areas) > 0, "normals look outwards"


def test_the_template_is_its_own_mirror(head: Head) -> None:
    twin = mirror()
    assert (twin[twin] == np.arange(len(twin))).all()
    have = {frozenset(triangle) for triangle in head.face.triangles.tolist()}
    assert {frozenset(triangle) for triangle in twin[head.face.triangles].tolist()} == have
    for name, index in head.face.regions.items():
        assert set(twin[index].tolist()) == set(index.tolist()), name
    assert twin[head.face.mid_lips].tolist() == head.face.mid_lips.tolist()


def test_all_arkit_shapes_are_there_and_mirror_each_other(head: Head) -> None:
    assert set(head.deltas) == ARKIT
    twin, flip = mirror(), np.array([-1.0, 1.0, 1.0])
    for name, delta in head.deltas.items():
        assert np.abs(delta).max() > 1e-3, f"{name} moves nothing"
        other = name.replace("Left", "Right") if "Left" in name else name.replace("Right", "Left")
        assert (head.deltas[other] == delta[twin] * flip).all(), name


def test_left_is_plus_x(head: Head) -> None:
    for name, delta in head.deltas.items():
        if name.endswith("Left") and name not in ("jawLeft", "mouthLeft"):
            weight = np.abs(delta).sum(axis=1)
            assert (weight * head.rest[:, 0]).sum() > 0.008 * weight.sum(), name
    for name in ("jawLeft", "mouthLeft"):
        assert head.deltas[name][:, 0].sum() > 0
    eyes = head.face.regions["eyes"]
    front = eyes[head.rest[eyes, 1].argmin()]
    side = "Left" if head.rest[front, 0] > 0 else "Right"
    inwards = -np.sign(head.rest[front, 0])
    assert head.deltas[f"eyeLookIn{side}"][front, 0] * inwards > 0.004
    assert head.deltas[f"eyeLookUp{side}"][front, 2] > 0.004


def test_at_rest_the_lips_touch_and_hide_the_teeth(head: Head) -> None:
    upper, lower = seam()
    assert len(upper) >= 40 and set(head.face.mid_lips.tolist()) <= set(np.r_[upper, lower].tolist())
    assert head.mid_opening(head.rest) <= 0.3
    assert (head.rest[upper, 2] > head.rest[lower, 2]).all()
    lips = head.rest[head.face.regions["lips"]]
    for arch in ("upper_teeth", "lower_teeth"):
        teeth = head.rest[head.face.regions[arch]]
        assert teeth[:, 1].min() > lips[:, 1].min() + 0.005
        assert np.abs(teeth[:, 0]).max() < lips[:, 0].max()


@pytest.mark.parametrize("arch", ["upper_teeth", "lower_teeth"])
def test_in_three_quarter_view_the_far_teeth_stay_in_sight(head: Head, arch: str) -> None:
    turn = np.radians(40.0)
    teeth = 1e3 * head.rest[head.face.regions[arch]]
    across = teeth @ np.array([np.cos(turn), -np.sin(turn), 0.0])
    middle = across[np.abs(teeth[:, 0]) < 1e-6].max()
    assert across.max() - middle > 8, "millimetres of the far half as the camera sees them"


def test_jaw_open_turns_the_jaw(head: Head) -> None:
    opened = head.pose(jawOpen=1)
    assert 24 <= head.mid_opening(opened) <= 30
    moved = np.linalg.norm(head.deltas["jawOpen"], axis=1)
    lower, upper = moved[head.face.mid_lips[1]], moved[head.face.mid_lips[0]]
    assert upper < 0.05 * lower
    assert moved[head.face.lip_corners] == pytest.approx(0.5 * lower, rel=0.15)
    teeth = opened[head.face.regions["lower_teeth"]]
    rest = head.rest[head.face.regions["lower_teeth"]]
    spread = np.linalg.norm(teeth - teeth[0], axis=1) - np.linalg.norm(rest - rest[0], axis=1)
    assert np.abs(spread).max() < 1e-6, "the teeth stay rigid"
    assert moved[head.face.regions["upper_teeth"]].max() == 0


@pytest.mark.parametrize("weight", [0.1, 0.25, 0.5, 1.0])
def test_mouth_close_undoes_jaw_open_at_the_lips(head: Head, weight: float) -> None:
    points = head.pose(jawOpen=weight, mouthClose=weight)
    upper, lower = seam()
    assert head.mid_opening(points) <= 0.5
    gap = points[upper] - points[lower]
    assert np.linalg.norm(gap, axis=1).max() * 1e3 <= 0.5 and gap[:, 2].min() * 1e3 > -0.5
    chin = head.face.regions["jaw"][head.rest[head.face.regions["jaw"], 2].argmin()]
    assert points[chin, 2] < head.rest[chin, 2] - 0.005 * weight, "the jaw itself stays open"


@pytest.mark.parametrize("name", CLOSED)
def test_shapes_of_closed_lips_keep_them_closed(head: Head, name: str) -> None:
    upper, lower = seam()
    gap = (head.pose(**{name: 1}))[upper] - head.pose(**{name: 1})[lower]
    assert np.linalg.norm(gap, axis=1).max() * 1e3 <= 0.3
    assert gap[:, 2].min() > 0


def test_lower_lip_meets_the_upper_teeth_only_when_rolled_in(head: Head) -> None:
    lips = head.face.regions["lips"]
    seam_upper = set(seam()[0].tolist())
    middle = head.rest[head.face.mid_lips[1], 2]
    below = np.array([v for v in lips if head.rest[v, 2] < middle + 1e-6 and v not in seam_upper])
    teeth = head.face.regions["upper_teeth"]

    def reach(points: Array) -> float:
        return float(np.linalg.norm(points[below][:, None] - points[teeth][None], axis=2).min()) * 1e3

    assert reach(head.rest) > 3 and reach(head.pose(jawOpen=0.1)) > 3
    assert reach(head.pose(jawOpen=0.1, mouthRollLower=1)) < 1
    assert reach(head.pose(jawOpen=0.1, mouthRollLower=1, mouthUpperUp=0.2)) < 1


def test_widths_and_protrusion_of_the_mouth(head: Head) -> None:
    rest = head.width(head.rest)
    pucker, funnel = head.pose(mouthPucker=1), head.pose(mouthFunnel=1)
    forward = -1e3 * (pucker - head.rest)[head.face.mid_lips, 1]
    assert 0.55 <= head.width(pucker) / rest <= 0.65
    assert forward == pytest.approx(8, abs=1)
    assert head.width(funnel) < 0.85 * rest and head.mid_opening(funnel) > 7
    assert (-1e3 * (funnel - head.rest)[head.face.mid_lips, 1] > 5).all()
    for name in ("mouthSmile", "mouthStretch"):
        assert 1.1 <= head.width(head.pose(**{name: 1})) / rest <= 1.2, name
    assert 1e3 * (head.pose(mouthSmile=1) - head.rest)[head.face.lip_corners, 2].min() > 4
    assert 1e3 * (head.pose(mouthFrown=1) - head.rest)[head.face.lip_corners, 2].max() < -4


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_blink_closes_the_lids_outside_the_eyeball(head: Head, weight: float) -> None:
    points = head.pose(eyeBlinkLeft=weight)
    upper, lower = left_lid_edges(head)
    assert len(upper) == 15
    gap = points[upper] - points[lower]
    if weight == 0:
        assert gap[:, 2].max() * 1e3 > 9, "the eyes are open at rest"
    if weight == 1:
        assert np.linalg.norm(gap, axis=1).max() * 1e3 <= 0.5
    assert gap[:, 2].min() >= 0
    assert lid_clearance(head, points) > 0.2


def lid_clearance(head: Head, points: Array) -> float:
    """Millimetres of air between the left eyeball and the nearest point of its lids."""
    centre, radius = left_eye(head)
    lids = set(head.face.regions["eyelids"].tolist())
    faces = np.array(
        [t for t in head.face.triangles if lids.issuperset(t.tolist()) and head.rest[t[0], 0] > 0]
    )
    samples = np.concatenate([points[faces].mean(axis=1), *(points[faces[:, k]] for k in range(3))])
    return 1e3 * float(np.linalg.norm(samples - centre, axis=1).min() - radius)


@pytest.mark.parametrize("weight", [0.5, 1.0])
@pytest.mark.parametrize(
    "name", ["eyeSquint", "eyeWide", "eyeLookUp", "eyeLookDown", "cheekSquint", "browDown"]
)
def test_lids_stay_outside_the_eyeball(head: Head, name: str, weight: float) -> None:
    assert lid_clearance(head, head.pose(**{name: weight})) > 0.2
    assert lid_clearance(head, head.pose(eyeBlink=0.5, **{name: 0.5 * weight})) > 0.2


def test_looking_turns_the_eyeballs_without_tearing_them(head: Head) -> None:
    centre, radius = left_eye(head)
    eyes = head.face.regions["eyes"]
    ball = eyes[head.rest[eyes, 0] > 0]
    for way in ("Up", "Down", "In", "Out"):
        for weight in (0.5, 1.0):
            points = head.pose(**{f"eyeLook{way}Left": weight})[ball]
            off = np.abs(np.linalg.norm(points - centre, axis=1) - radius)
            assert off.max() < 0.03 * radius, (way, weight)


def test_effects_fade_out_before_neck_base_and_back_of_the_head(head: Head) -> None:
    still = (head.rest[:, 1] > 0.035) | (head.rest[:, 2] < 0.004)
    assert still.sum() > 500
    for name, delta in head.deltas.items():
        assert np.abs(delta[still]).max() == 0, name


def test_no_shape_tears_the_skin(head: Head) -> None:
    """Neighbours on the face move alike; the lips' edges may part, so the lips are left out."""
    skin = components() == components()[head.face.regions["jaw"][0]]
    apart = np.isin(np.arange(len(skin)), np.r_[head.face.regions["lips"], head.face.regions["eyelids"]])
    inner = head.rest[:, 1] > head.rest[head.face.regions["lips"], 1].max()
    mouth = (np.abs(head.rest[:, 0]) < 0.035) & (np.abs(head.rest[:, 2] - 0.0985) < 0.02) & inner
    edges = directed_edges(head.face.triangles)
    edges = edges[(skin & ~apart & ~mouth)[edges].all(axis=1)]
    length = np.linalg.norm(head.rest[edges[:, 0]] - head.rest[edges[:, 1]], axis=1)
    for name, delta in head.deltas.items():
        change = np.linalg.norm(delta[edges[:, 0]] - delta[edges[:, 1]], axis=1) / length
        assert change.max() < 1.6, name


def test_the_script_makes_the_committed_arrays(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "again"):
        subprocess.run(
            [sys.executable, str(HEAD / "build_head.py"), "--output", str(folder)],
            check=True,
            capture_output=True,
        )
    for name in ("face.npz", "shapes.npz"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        with np.load(HEAD / name) as committed, np.load(tmp_path / name) as made:
            assert committed.files == made.files
            for key in committed.files:
                if committed[key].dtype.kind == "f":
                    np.testing.assert_allclose(made[key], committed[key], rtol=0, atol=2e-6, err_msg=key)
                else:
                    assert (made[key] == committed[key]).all(), key


FINISH = """
import sys, numpy as np, assembly, finish
plain = assembly.build()
np.save(sys.argv[1], finish.finished(plain).points - plain.points)
"""


def test_ears_nose_and_hair_leave_alone_what_speaks(head: Head, tmp_path: Path) -> None:
    copy = tmp_path / "moved.npy"
    subprocess.run([sys.executable, "-c", FINISH, str(copy)], check=True, capture_output=True, cwd=HEAD)
    moved = np.linalg.norm(np.load(copy), axis=1)
    assert 1e-3 < moved.max() < 0.02
    kept = ("lips", "eyelids", "jaw", "upper_teeth", "lower_teeth", "eyes")
    assert moved[np.concatenate([head.face.regions[name] for name in kept])].max() == 0
    assert np.median(head.rest[moved > 1e-3, 2]) > 0.14


READ_BLEND = """
import sys, bpy, numpy as np
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
head = bpy.data.objects["CodeTalker Head"]
mesh = head.data
def read(items, name, width, kind):
    values = np.empty(len(items) * width, kind)
    items.foreach_get(name, values)
    return values.reshape(-1, width)
mesh.calc_loop_triangles()
keys = {"key_" + key.name: read(key.data, "co", 3, np.float32) for key in mesh.shape_keys.key_blocks}
used = read(mesh.polygons, "material_index", 1, np.int32)
np.savez(sys.argv[2], points=read(mesh.vertices, "co", 3, np.float32),
    triangles=read(mesh.loop_triangles, "vertices", 3, np.int32),
    materials=np.array([mesh.materials[i].name for i in np.unique(used)]),
    rest=read(mesh.attributes["rest"].data, "vector", 3, np.float32),
    hairline=read(mesh.attributes["hairline"].data, "value", 1, np.float32),
    camera=np.array([bpy.context.scene.camera is not None]), matrix=np.array(head.matrix_world), **keys)
"""


def test_the_blend_holds_the_same_head(head: Head, tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="needs Blender as a module")
    blend, copy = ROOT / "assets" / "demo_head.blend", tmp_path / "read.npz"
    assert blend.stat().st_size <= 4_000_000
    subprocess.run(
        [sys.executable, "-c", READ_BLEND, str(blend), str(copy)],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    with np.load(copy) as read:
        assert (read["points"] == head.face.vertices).all()
        assert (read["rest"] == head.face.vertices).all(), "the paint stays where it is when the face moves"
        hair = read["hairline"].ravel() > 0
        assert 300 < hair.sum() < 0.4 * len(hair) and head.rest[hair, 2].max() == head.rest[:, 2].max()
        bare = [index for name, index in head.face.regions.items() if name != "upper_face"]
        assert not hair[np.concatenate(bare)].any(), "no hair on the face"
        assert (read["matrix"] == np.eye(4)).all() and read["camera"].all()
        ours = {frozenset(t) for t in head.face.triangles.tolist()}
        assert {frozenset(t) for t in read["triangles"].tolist()} == ours
        assert len(read["materials"]) >= 8
        names = {key.removeprefix("key_") for key in read.files if key.startswith("key_")}
        assert names == ARKIT | set(OCULUS) | {"Basis"}
        for name, delta in (head.deltas | head.visemes).items():
            offsets = read[f"key_{name}"].astype(np.float64) - head.rest
            np.testing.assert_allclose(offsets, delta, rtol=0, atol=1e-7, err_msg=name)


def test_the_licence_table_names_every_shipped_file_with_its_hash() -> None:
    from codetalker_blender.model_files import file_record

    table = (ROOT / "assets" / "LICENSES.md").read_text(encoding="utf-8")
    assets = ROOT / "assets"
    shipped = [assets / "demo_head.blend", *HEAD.glob("*.npz")]
    for folder in ("speech", "models"):
        shipped += [path for path in (assets / folder).rglob("*") if path.is_file()]
    for path in shipped:
        row = next(line for line in table.splitlines() if f"`{path.relative_to(ROOT / 'assets')}`" in line)
        assert file_record(path).sha256 in row, path.name


def test_the_mouth_is_denser_than_the_skull(head: Head) -> None:
    lips = head.rest[head.face.regions["lips"]]
    upper, _ = seam()
    along = np.sort(head.rest[upper, 0])
    steps = np.array([b - a for a, b in pairwise(along)])
    assert steps.max() * 1e3 < 3.0 and len(lips) > 150
