"""From a program to its verdict."""
