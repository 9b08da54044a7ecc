"""Errors meant for the user: one line that says what is wrong, where, and the remedy.

AnalysisError
└── RunError      what was asked for cannot be read: missing, foreign, newer schema, or nothing in it
"""

from __future__ import annotations


class AnalysisError(Exception):
    pass


class RunError(AnalysisError):
    pass
