"""The mesh that is to speak: its arrays, whether it is the model's face, and the shipped one as an object."""
