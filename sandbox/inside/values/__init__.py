"""Values as JSON and back, on both sides and on the host."""
