"""What the judge and the program tell each other."""
