"""The model library inside Blender: what is there, adding, removing and importing."""
