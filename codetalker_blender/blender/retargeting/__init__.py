"""The target's own shape keys: which of them follow which shapes, and editing that."""
