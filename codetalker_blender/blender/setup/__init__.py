"""What belongs to this machine and not to a scene: preferences, the engine's set-up, the check of all."""
