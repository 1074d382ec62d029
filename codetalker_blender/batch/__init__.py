"""Many clips in one go: the rows of a manifest, which are finished, who runs the rest.  No bpy, no torch."""
