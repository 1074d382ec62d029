"""What the head's surfaces look like: plain shaders, and a skin that is painted by formulas.  Needs bpy."""

from __future__ import annotations

from typing import Any

import bpy

Triple = tuple[float, float, float]

#: Mesh attributes that the skin reads: place at rest (metres), millimetres above the hairline.
REST, HAIR = "rest", "hairline"

#: Base colour (linear), roughness and a little light of its own (the mouth lies in the lips' shadow).
LOOKS: dict[str, tuple[Triple, float, float]] = {
    "Skin": ((0.60, 0.345, 0.25), 0.50, 0.0),
    "Lips": ((0.50, 0.19, 0.165), 0.38, 0.0),
    "Mouth": ((0.30, 0.075, 0.07), 0.55, 0.10),
    "Eye White": ((0.80, 0.80, 0.79), 0.15, 0.0),
    "Iris": ((0.085, 0.21, 0.27), 0.12, 0.0),
    "Pupil": ((0.004, 0.004, 0.004), 0.08, 0.0),
    "Teeth": ((0.84, 0.81, 0.74), 0.25, 0.22),
    "Tongue": ((0.50, 0.14, 0.14), 0.45, 0.05),
    "Brow": ((0.040, 0.021, 0.013), 0.75, 0.0),
}
HAIR_COLOUR = (0.052, 0.027, 0.016)
#: Spots of another colour on the skin: centre and radii (mm, x is |x|), colour, strength.
SPOTS: tuple[tuple[Triple, Triple, Triple, float], ...] = (
    ((38.0, -70.0, 124.0), (24.0, 30.0, 19.0), (0.60, 0.22, 0.16), 0.50),  # cheek
    ((0.0, -108.0, 131.0), (15.0, 12.0, 11.0), (0.60, 0.22, 0.16), 0.40),  # tip of the nose
    ((85.0, 20.0, 152.0), (14.0, 24.0, 34.0), (0.60, 0.22, 0.16), 0.45),  # ear
    ((5.9, -99.0, 122.6), (3.4, 4.6, 3.4), (0.050, 0.012, 0.010), 1.0),  # nostril
)


class _Nodes:
    """Adds nodes to a material's ``tree``; a value may be a socket or a constant."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self.shader: Any = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")

    def put(self, socket: Any, value: Any) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def attribute(self, name: str, output: str) -> Any:
        node = self.tree.nodes.new("ShaderNodeAttribute")
        node.attribute_name = name
        return node.outputs[output]

    def vector(
        self, operation: str, first: Any, second: Any = (0.0, 0.0, 0.0), output: str = "Vector"
    ) -> Any:
        node = self.tree.nodes.new("ShaderNodeVectorMath")
        node.operation = operation
        self.put(node.inputs[0], first)
        self.put(node.inputs[1], second)
        return node.outputs[output]

    def step(self, value: Any, low: float, high: float, start: float, end: float) -> Any:
        """Smooth from ``start`` at ``low`` to ``end`` at ``high``."""
        node = self.tree.nodes.new("ShaderNodeMapRange")
        node.interpolation_type = "SMOOTHSTEP"
        for number, part in enumerate((value, low, high, start, end)):
            self.put(node.inputs[number], part)
        return node.outputs["Result"]

    def mix(self, share: Any, first: Any, second: Any) -> Any:
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type = "RGBA"
        for name, value in (("Factor_Float", share), ("A_Color", first), ("B_Color", second)):
            self.put(next(socket for socket in node.inputs if socket.identifier == name), value)
        return next(socket for socket in node.outputs if socket.identifier == "Result_Color")

    def noise(self, place: Any, scale: float) -> Any:
        node = self.tree.nodes.new("ShaderNodeTexNoise")
        self.put(node.inputs["Vector"], place)
        self.put(node.inputs["Scale"], scale)
        self.put(node.inputs["Detail"], 1.0)
        return node.outputs[0]


def _paint(material: bpy.types.Material, colour: Triple, roughness: float) -> None:
    """Blush, nostrils and short hair on the skin."""
    nodes = _Nodes(material.node_tree)
    place = nodes.attribute(REST, "Vector")
    folded = nodes.vector("ABSOLUTE", place)
    # Only x is folded: y and z keep their sign.
    folded = nodes.vector("MULTIPLY", folded, (1.0, 0.0, 0.0))
    folded = nodes.vector("ADD", folded, nodes.vector("MULTIPLY", place, (0.0, 1.0, 1.0)))
    painted: Any = (*colour, 1.0)
    for centre, radii, tint, strength in SPOTS:
        away = nodes.vector("SUBTRACT", folded, tuple(1e-3 * value for value in centre))
        scaled = nodes.vector("DIVIDE", away, tuple(1e-3 * value for value in radii))
        far = nodes.vector("LENGTH", scaled, output="Value")
        soft = 0.0 if strength < 1 else 0.55
        painted = nodes.mix(nodes.step(far, soft, 1.0, strength, 0.0), painted, (*tint, 1.0))
    # Strands run backwards over the scalp; the hairline is ragged by their noise.
    strands = nodes.noise(nodes.vector("MULTIPLY", place, (1.0, 0.22, 0.45)), 900.0)
    hair = nodes.attribute(HAIR, "Fac")
    ragged = nodes.tree.nodes.new("ShaderNodeMath")
    ragged.operation = "MULTIPLY_ADD"
    nodes.put(ragged.inputs[0], strands)
    nodes.put(ragged.inputs[1], 5.0)
    nodes.put(ragged.inputs[2], hair)
    mask = nodes.step(ragged.outputs[0], 1.5, 5.0, 0.0, 1.0)
    dark, light = (*(0.7 * part for part in HAIR_COLOUR), 1.0), (*(1.5 * part for part in HAIR_COLOUR), 1.0)
    tuft = nodes.mix(nodes.step(strands, 0.35, 0.65, 0.0, 1.0), dark, light)
    nodes.put(nodes.shader.inputs["Base Color"], nodes.mix(mask, painted, tuft))
    nodes.put(nodes.shader.inputs["Roughness"], nodes.step(mask, 0.0, 1.0, roughness, 0.62))


def material(name: str) -> bpy.types.Material:
    """A new material called after one of ``assembly.MATERIALS``."""
    colour, roughness, glow = LOOKS[name]
    made = bpy.data.materials.new(f"CodeTalker {name}")
    made.use_nodes = True
    made.diffuse_color = (*colour, 1.0)
    shader = _Nodes(made.node_tree).shader
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    if glow:
        shader.inputs["Emission Color"].default_value = (*colour, 1.0)
        shader.inputs["Emission Strength"].default_value = glow
    if name == "Skin":
        _paint(made, colour, roughness)
    return made
