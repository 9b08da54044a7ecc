"""The program's process."""
