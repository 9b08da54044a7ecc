"""What differs by default for a model that is given by name (`model.path`) from the small one that is built in.

A value that is given always wins. Evidence: docs/stability.md.
"""

from __future__ import annotations

from typing import Any

NAMED_MODEL: dict[str, dict[str, Any]] = {
    "learner": {"schedule": "constant", "learning_rate": 2e-5},
    "sampler": {"max_tokens": 0, "max_prompt_tokens": 0},
}


def for_model(data: dict[str, Any]) -> dict[str, Any]:
    """The tables of a configuration; where `data` names a model, with its defaults."""
    model = data.get("model")
    if not isinstance(model, dict) or model.get("path") is None:
        return data
    given = {name: data.get(name, {}) for name in NAMED_MODEL}
    return data | {
        name: NAMED_MODEL[name] | table for name, table in given.items() if isinstance(table, dict)
    }
