"""Where the engine's libraries come from: what is pinned, who has it, and an environment of our own.

Standard library only, no bpy: it runs in Blender's Python, which has nothing else.
"""
