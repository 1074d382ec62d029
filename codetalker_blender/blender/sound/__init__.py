"""The speech of a run: from a strip or a file to what the engine reads, and back onto the timeline."""
