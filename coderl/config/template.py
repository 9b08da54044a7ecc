"""`model.prompt_template`: what a model is asked, as a Jinja2 template of a task's fields (docs/prompts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

# Of `tasks.types.Task`: none that would show the model a test or a solution.
FIELDS = ("id", "prompt", "style", "entry_point", "context", "language", "level", "source", "metadata")

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def template_text(given: str) -> str:
    """The template: `given` itself, or, where it holds no brace, the text of the file that it names.

    A configuration that holds the text asks alike wherever it is read.

    Raises:
        ValueError: the file cannot be read, or is no template of `FIELDS`.
    """
    text = given if "{" in given else _read(Path(given))
    try:
        tree = _ENVIRONMENT.parse(text)
        _ENVIRONMENT.from_string(text)  # finds filters that do not exist
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno} of the template: {error.message}") from error
    unknown = find_undeclared_variables(tree) - {*FIELDS, *_ENVIRONMENT.globals}
    if unknown:
        raise ValueError(f"a task has no {', '.join(sorted(unknown))}; it has {', '.join(FIELDS)}")
    return text


def _read(file: Path) -> str:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"the template cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if "{" not in text:
        raise ValueError("the template names no field of the task, as {{ prompt }} would")
    return text


def render(text: str, fields: Mapping[str, Any]) -> str:
    """Raises errors of many kinds, as a template can compute anything."""
    return _compiled(text).render(fields)


@cache
def _compiled(text: str) -> Template:
    return _ENVIRONMENT.from_string(text)
