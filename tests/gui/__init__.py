"""The built extension in a real Blender: `python3 build.py test --blender PATH_OR_ROOT`.

Outside Blender, standard library only:
    __main__.py        installs the zip with a fresh HOME, runs the suite and the sessions, adds up
    chroot.py          the same from inside a folder that holds a whole Linux system with a Blender
    program.py         one Blender program with a configuration of its own
    display.py         an X server without a screen, and pictures of what it shows
    report.py          what the sessions found -> a table and report.json
Inside Blender:
    suite.py           tests/blender against the installed extension
    session.py         acts, one after the other, driven by one timer; what they find
    stage.py           what an act works with: the scene, waiting, pictures, figures
    hands.py           mouse and keyboard: finds a button under the mouse and presses it
    real_hands.py      the same through the X server
    extension.py       the installed extension, its job and its worker processes
    stopwatch.py       how long each callback of the extension takes
    first_animation.py tuning_act.py interruptions.py reopening.py other_panels.py large_face.py
    preview_act.py styles_act.py existing_act.py queue_act.py presets_act.py hosted_act.py panels_act.py
    files_act.py   the acts
"""
