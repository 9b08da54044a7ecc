"""Weights to completions: vLLM in this process, in several, or on servers."""
