"""What a run leaves behind (docs/run-folder.md)."""
