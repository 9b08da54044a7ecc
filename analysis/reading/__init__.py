"""Run folders as rows."""
