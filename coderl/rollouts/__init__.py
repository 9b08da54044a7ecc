"""Prompts to graded groups."""
