"""Facial motion on meshes: topology, fitting, transfer, key weights and curves.  No torch, no bpy."""
