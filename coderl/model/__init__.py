"""The policy: as files, and as log-probabilities."""
