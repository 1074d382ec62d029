"""Motion → shape keys, F-curves and the take they were made from: all of it or nothing, without the model."""
