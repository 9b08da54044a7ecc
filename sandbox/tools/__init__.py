"""What the commands `coderl sandbox doctor|bench|run` do."""
