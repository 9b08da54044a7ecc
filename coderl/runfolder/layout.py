"""The names that writer and reader of a run folder and of a study's folder share (docs/run-folder.md)."""

from __future__ import annotations

SCHEMA = 1  # of a run folder
WARM, CONTROL = "warm", "control"  # the model that training starts from; the same, its warm-up continued
BASE = "base"  # a named model before its warm-up
MODEL = "model"  # a link to the newest checkpoint
POSTERIOR = "posterior"  # what is known of each training task's pass rate, a file a checkpoint

STUDY_SCHEMA = 1
SIMULATION = "simulation.json"
HELD_OUT, BEST, TRAINING_TASKS = "held-out", "held-out-best-temperature", "training-tasks"  # evaluations
