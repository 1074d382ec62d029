"""Other programs: files that the animation goes to, and weights of shapes that come from them."""
