"""The tab of the 3D View and of the Sequencer: panels, the main buttons, presets, words."""
