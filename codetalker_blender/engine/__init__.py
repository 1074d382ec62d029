"""Speech in, motion out: audio, speech features, code query, codebook, bundles.  No Blender."""
