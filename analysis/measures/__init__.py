"""The measures, each defined in the docstring of its function.

Throughout: a task has n samples (faults of ours left out), m failures, and k_f failures of
fingerprint f, so that sum k_f = m.
"""
