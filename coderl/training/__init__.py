"""A run: the loop, what opens and watches it, and the commands over it."""
