"""The built-in curriculum: procedural Python tasks with hidden tests, and imperfect demonstrations."""

from tasks.builtin.classes import is_shortcut, solution_class
from tasks.builtin.demonstrations import Demonstration, demonstrations
from tasks.builtin.generate import CONTROL, load
from tasks.builtin.vocabulary import vocabulary

__all__ = [
    "CONTROL",
    "Demonstration",
    "demonstrations",
    "is_shortcut",
    "load",
    "solution_class",
    "vocabulary",
]
