"""What runs in a cell. Standard library only."""
