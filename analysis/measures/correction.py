"""Does the policy notice its error and correct it within one response?

Of a response with several code blocks the last is the answer. Every measure counts responses whose
first and last block were both graded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.intervals import Estimate, bootstrap_mean

_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_TALK = re.compile(
    r"\b(?:wait|oops|actually|mistake|(?:not|in)correct|i was wrong|(?:is|was|looks) wrong|off by one"
    r"|let me (?:fix|check|correct|re)|to (?:fix|correct) (?:this|that|it)|corrected|check(?:ing)? again)\b",
    re.IGNORECASE,
)
_LONGEST_TALK = 50_000


def talks_of_correction(completion: str) -> bool:
    """Whether the text outside of code blocks speaks of an error or of checking again.

    A word list: it says nothing of whether anything was corrected. Only completions with fenced code are
    looked at, since of others the text cannot be told from the code.
    """
    if "```" not in completion:
        return False
    return _TALK.search(_FENCED.sub(" ", completion[:_LONGEST_TALK])) is not None


@dataclass(frozen=True, slots=True)
class Revisions:
    """One task's responses with several blocks by (first, last) verdict; first attempts of all responses."""

    wrong_wrong: int
    wrong_right: int
    right_wrong: int
    right_right: int
    fresh_samples: int
    fresh_passed: int


def self_correction_rate(tasks: Sequence[Revisions]) -> Estimate:
    """P(last passes | first fails) over all responses with several blocks."""
    failed = [t.wrong_right + t.wrong_wrong for t in tasks]
    return _ratio([t.wrong_right for t in tasks], failed)


def harm_rate(tasks: Sequence[Revisions]) -> Estimate:
    """P(last fails | first passes) over all responses with several blocks."""
    passed = [t.right_wrong + t.right_right for t in tasks]
    return _ratio([t.right_wrong for t in tasks], passed)


def excess_correction(tasks: Sequence[Revisions]) -> Estimate:
    """P(last passes | first fails) - P(a fresh first attempt passes), matched by task.

    A second draw alone corrects something: only what goes beyond it is correction. Tasks are weighted
    by their responses whose first block fails; a task's fresh attempts are the first blocks of all of
    its responses.
    """
    used = [t for t in tasks if t.wrong_right + t.wrong_wrong and t.fresh_samples]
    failed = [t.wrong_right + t.wrong_wrong for t in used]
    gains = [t.wrong_right / n - t.fresh_passed / t.fresh_samples for t, n in zip(used, failed, strict=True)]
    return bootstrap_mean(gains, [float(n) for n in failed])


def _ratio(parts: Sequence[int], wholes: Sequence[int]) -> Estimate:
    used = [(part, whole) for part, whole in zip(parts, wholes, strict=True) if whole]
    return bootstrap_mean([p / w for p, w in used], [float(w) for _, w in used])
