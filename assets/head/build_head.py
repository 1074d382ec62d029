"""Write the demo head: face.npz and shapes.npz, and with bpy the scene demo_head.blend.

    python assets/head/build_head.py [--output FOLDER] [--blend FILE]

The same numbers come out on every run.  Needs numpy; ``--blend`` needs bpy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import assembly
import finish
import shapes
import visemes
from anatomy import Array


def write_arrays(
    head: assembly.Head, regions: dict[str, assembly.Index], deltas: dict[str, Array], folder: Path
) -> None:
    """face.npz (template, triangles, landmarks, regions) and shapes.npz.

    shapes.npz: names (52,) and deltas (52, V, 3) metres of the ARKit shapes; viseme_names (15,) and
    viseme_weights (15, 52) of their mixtures
    """
    folder.mkdir(parents=True, exist_ok=True)
    mid_lips, lip_corners = assembly.landmarks(head)
    np.savez_compressed(
        folder / "face.npz",
        template=head.points.astype(np.float32),
        triangles=head.triangles,
        mid_lips=mid_lips.astype(np.int32),
        lip_corners=lip_corners.astype(np.int32),
        **{f"region_{name}": index.astype(np.int32) for name, index in regions.items()},
    )
    np.savez_compressed(
        folder / "shapes.npz",
        names=np.array(list(deltas)),
        deltas=np.stack(list(deltas.values())).astype(np.float32),
        viseme_names=np.array(list(visemes.VISEMES)),
        viseme_weights=visemes.viseme_weights(list(deltas)).astype(np.float32),
    )


def main() -> None:
    """Build, write, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("--output", type=Path, default=here, help="folder for face.npz and shapes.npz")
    parser.add_argument("--blend", type=Path, help="also write this .blend (needs bpy)")
    options = parser.parse_args()
    head = assembly.build()
    deltas = shapes.all_shapes(head)
    regions = assembly.regions(head)
    head = finish.finished(head)
    write_arrays(head, regions, deltas, options.output)
    print(
        f"{len(head.points)} vertices, {len(head.quads)} quads, {len(deltas)} shapes, "
        f"{len(visemes.VISEMES)} visemes -> {options.output}"
    )
    if options.blend:
        import scene

        scene.write_scene(head, deltas | visemes.viseme_shapes(deltas), options.blend)
        print(f"scene -> {options.blend}")


if __name__ == "__main__":
    main()
