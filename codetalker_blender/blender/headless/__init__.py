"""The command line inside Blender: one clip, and what it leaves."""
