"""Graded groups to an update of the policy."""
