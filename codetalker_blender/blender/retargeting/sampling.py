"""Objects → how they stand frame by frame, beside the scene.

Setting the frame of the animator's own scene would take a while, run its simulations, and put back what has
been moved and not keyed.  Here a scene of its own, for a moment, holds nothing but empties that follow the
objects: so Blender evaluates these, their animation, parents and constraints, and no mesh.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import bpy

T = TypeVar("T")


def sample(
    objects: Sequence[bpy.types.Object],
    frames: Iterable[float],
    read: Callable[[Sequence[bpy.types.Object]], T],
    bones: Mapping[bpy.types.Object, str] | None = None,
) -> list[T]:
    """What ``read`` tells of the evaluated objects, in their order, at each frame, be it between two.

    bones: of each rig, the one whose pose is asked for
    """
    scene = bpy.data.scenes.new("CodeTalker")
    followers = []
    try:
        for obj in objects:
            follower = bpy.data.objects.new("CodeTalker", None)
            followers.append(follower)
            scene.collection.objects.link(follower)
            constraint = follower.constraints.new("COPY_TRANSFORMS")
            assert isinstance(constraint, bpy.types.CopyTransformsConstraint)
            constraint.target = obj
            if bones is not None and obj in bones:
                constraint.subtarget = bones[obj]
        found = []
        for frame in frames:
            whole = math.floor(frame)
            scene.frame_set(whole, subframe=frame - whole)
            graph = scene.view_layers[0].depsgraph
            found.append(read([obj.evaluated_get(graph) for obj in objects]))
        return found
    finally:
        for follower in followers:
            bpy.data.objects.remove(follower)
        bpy.data.scenes.remove(scene)
