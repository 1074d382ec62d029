"""From the scene to one request for the engine, the queue of them, and what is seen while they go."""
