"""Every error that coderl raises on purpose.

CoderlError             shown to the user as one line: what, where, remedy; exit code 2
├── ConfigError         a configuration file or override is wrong
├── ModelError          a model folder is missing or cannot be loaded
├── RunFolderError      a run folder exists, is missing, foreign, or cannot be written
├── TrainingError       the run stopped itself; the last checkpoint can be resumed
│   ├── NonFiniteError  loss or gradient is not finite (raised before the optimizer step)
│   ├── RateError       the learning rate cannot be steered, or has reached its bound
│   ├── MismatchError   sampler and learner disagree: a stale or wrong weight publish
│   ├── SamplerError    vLLM failed while it sampled
│   ├── PublishError    vLLM did not take the new weights
│   ├── CollapseError   the policy collapsed (see coderl/training/collapse.py); exit code 3
│   └── WeakStartError  no group of completions ever had any signal; exit code 3
├── StudyError          part of a study failed; the rest of it is kept
└── SandboxOutageError  the sandbox kept failing, for as long as sandbox.outage_seconds says
"""

from __future__ import annotations


class CoderlError(Exception):
    """Base of all errors meant for the user."""

    exit_code = 2


class ConfigError(CoderlError):
    pass


class ModelError(CoderlError):
    pass


class RunFolderError(CoderlError):
    pass


class TrainingError(CoderlError):
    pass


class NonFiniteError(TrainingError):
    """`half_learned`: optimizer steps of the same batch were taken before."""

    half_learned = False


class RateError(TrainingError):
    pass


class MismatchError(TrainingError):
    pass


class SamplerError(TrainingError):
    pass


class PublishError(TrainingError):
    pass


class CollapseError(TrainingError):
    exit_code = 3


class WeakStartError(TrainingError):
    exit_code = 3


class StudyError(CoderlError):
    pass


class SandboxOutageError(CoderlError):
    pass
