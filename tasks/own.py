"""What a user gives by name, as `module:name`: a reward, a metric, an objective."""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from tasks.errors import TaskError


def load_own(name: str) -> Any:
    """What `module:name` leads to; the current folder is on the path, after all else.

    Raises:
        TaskError: there is no such module or name, or the module fails when it is imported.
    """
    module_name, _, attribute = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise TaskError(f"{name}: {blamed(error)}") from error
        raise TaskError(f"{name}: no module {error.name} in {here} or on PYTHONPATH") from None
    except Exception as error:  # a user's module: any fault in it is its own
        raise TaskError(f"{name}: {blamed(error)}") from error
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, vars(module), n=1)
        hint = f"did you mean {near[0]}?" if near else "name what it defines"
        raise TaskError(f"{name}: {module.__file__} has no {attribute!r}; {hint}")
    return getattr(module, attribute)


def blamed(error: Exception) -> str:
    """An error of a user's code as one line, with its place there."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
