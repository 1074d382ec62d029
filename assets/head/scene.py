"""The demo head as a Blender scene: mesh, shape keys, materials, camera and lights.  Needs bpy."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

import materials
from anatomy import Array
from assembly import MATERIALS, Head, material_numbers
from finish import hairline

Triple = tuple[float, float, float]

OBJECT_NAME = "CodeTalker Head"


def _head_object(head: Head, deltas: dict[str, Array]) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(OBJECT_NAME)
    mesh.from_pydata(head.points.tolist(), [], head.quads.tolist())
    for name in MATERIALS:
        mesh.materials.append(materials.material(name))
    mesh.polygons.foreach_set("material_index", material_numbers(head).astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(head.quads), bool))
    mesh.validate()
    mesh.update()
    # The skin's paint is a function of the place on the head at rest, so it moves with the face.
    rest = mesh.attributes.new(materials.REST, "FLOAT_VECTOR", "POINT")
    rest.data.foreach_set("vector", head.points.astype(np.float32).ravel())
    hair = mesh.attributes.new(materials.HAIR, "FLOAT", "POINT")
    hair.data.foreach_set("value", hairline(head).astype(np.float32))
    head_object = bpy.data.objects.new(OBJECT_NAME, mesh)
    bpy.context.scene.collection.objects.link(head_object)
    template = head.points.astype(np.float32)
    head_object.shape_key_add(name="Basis", from_mix=False)
    for name, delta in deltas.items():
        key = head_object.shape_key_add(name=name, from_mix=False)
        key.data.foreach_set("co", (template + delta.astype(np.float32)).ravel())
        key.value = 0.0
    return head_object


def _aim(item: bpy.types.Object, position: Triple, target: Triple) -> None:
    item.location = position
    item.rotation_euler = (Vector(target) - Vector(position)).to_track_quat("-Z", "Y").to_euler()


def _light(name: str, position: Triple, size: float, watts: float, colour: Triple) -> None:
    light = bpy.data.lights.new(name, "AREA")
    light.size, light.energy = size, watts
    light.color = colour
    item = bpy.data.objects.new(name, light)
    bpy.context.scene.collection.objects.link(item)
    _aim(item, position, (0.0, -0.02, 0.14))


def write_scene(head: Head, deltas: dict[str, Array], path: Path) -> None:
    """Write the whole scene to ``path`` (.blend, compressed): render it with Cycles at 640 x 640."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0
    scene = bpy.context.scene
    scene.name = "CodeTalker Demo"
    _head_object(head, deltas)

    camera = bpy.data.cameras.new("Camera")
    camera.lens, camera.clip_start = 85.0, 0.01
    camera_object = bpy.data.objects.new("Camera", camera)
    scene.collection.objects.link(camera_object)
    turn, distance = math.radians(15.0), 0.72
    target = (0.002, 0.0, 0.140)
    position = (distance * math.sin(turn), -distance * math.cos(turn), 0.150)
    _aim(camera_object, position, target)
    scene.camera = camera_object

    _light("Key", (0.45, -0.75, 0.50), 0.35, 10.0, (1.0, 0.97, 0.94))
    _light("Fill", (-0.60, -0.70, 0.12), 0.60, 3.2, (0.95, 1.0, 1.0))
    _light("Rim", (-0.35, 0.60, 0.45), 0.30, 0.9, (1.0, 1.0, 1.0))
    world = bpy.data.worlds.new("Grey")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.20, 0.20, 0.20, 1.0)
    scene.world = world

    scene.render.engine = "CYCLES"  # type: ignore[assignment]
    scene.cycles.samples = 32
    scene.cycles.use_denoising = False
    scene.render.resolution_x = scene.render.resolution_y = 640
    scene.render.fps = 30
    scene.view_settings.view_transform = "Standard"  # type: ignore[assignment]
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path.resolve()), compress=True)
