"""Runs the model beside Blender: the protocol, the worker process and the thread that hosts it.

The parent's side (messages, client) needs the standard library and numpy alone.
"""
