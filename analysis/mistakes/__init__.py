"""What went wrong in a completion: its fingerprint, its label, its cluster."""
