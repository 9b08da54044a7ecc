"""Reading a run's configuration: one TOML file, plus dotted overrides (`learner.learning_rate=1e-4`).

What is wrong is one error, which names the new place of a key that has moved, and the nearest key to any other.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from coderl.config.settings import RunConfig
from coderl.errors import ConfigError

# Keys of older configurations: what has become of each.
MOVED = {
    **{
        f"data.prefilter_{name}": "is gone: data.choice = posterior measures tasks while it trains"
        for name in ("samples", "between", "low", "high")
    },
    "learner.beta1": "is now the first number of learner.betas",
    "learner.beta2": "is now the second number of learner.betas",
    "learner.kl_target": "is now learner.schedule: kl:3e-4 (the default), or constant where kl_target was 0",
    "objective.kl_average_decay": "is gone: the average keeps 0.99 of itself at each batch",
    "objective.spare_shared": "is gone: it spared most of what there is to learn (docs/stability.md)",
    "sampler.transfer_folder": "is now sampler.transfer, which names the folder, or nccl",
    "warmup.max_positions": "is gone: the built-in model has room for 2048 tokens",
}

Model = TypeVar("Model", bound=BaseModel)


def load(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a TOML file (none: all defaults) and apply `section.key=value` overrides.

    Raises:
        ConfigError: unreadable file, unknown key, or a value out of range.
    """
    data = {} if path is None else _read(path)
    for override in overrides:
        apply_override(data, override)
    return validated(RunConfig, data, "the command line" if path is None else str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"configuration file {path} does not exist; give --config an existing file"
        ) from None
    except OSError as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def apply_override(data: dict[str, Any], override: str) -> None:
    """Put one `section.key=value` into `data`. Raises `ConfigError` where it is not of that form."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"override {override!r} is not of the form section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    *sections, last = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise ConfigError(f"override {override!r}: {section} is a value, not a section")
    data[last] = value


def validated(model: type[Model], data: dict[str, Any], where: str) -> Model:
    """`data` as a `model`. Raises `ConfigError`: all that is wrong with it, and that it stands in `where`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        reasons = dict.fromkeys(_explained(e, model) for e in error.errors())
        raise ConfigError(f"{where}: " + "; ".join(reasons)) from None


def _explained(error: Any, model: type[BaseModel]) -> str:
    """One of pydantic's errors about `model` as a sentence."""
    path = [str(part) for part in error["loc"]]
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        return f"{key} {MOVED[key]}" if key in MOVED else f"unknown key {key}; {_hint(path, model)}"
    if error["type"] != "value_error":
        return f"{key} = {error['input']!r}: {error['msg'].lower()}"
    reason = str(error["ctx"]["error"])
    if isinstance(error["input"], dict):  # a whole section
        return f"{key}: {reason}" if key else reason
    return f"{key} = {error['input']!r}: {reason}"


def _hint(path: Sequence[str], model: type[BaseModel]) -> str:
    """The known key that was meant, as far as one is like it."""
    known = _keys(model)
    near = difflib.get_close_matches(".".join(path), known, n=1, cutoff=0.8)
    if not near:  # the right word in the wrong section
        last = {key: key.rpartition(".")[2] for key in known}
        word = difflib.get_close_matches(path[-1], sorted(set(last.values())), n=1, cutoff=0.75)
        near = [key for key in known if word and last[key] == word[0]]
    if near:
        return f"did you mean {' or '.join(near)}?"
    section = ".".join(path[:-1])
    beside = [key for key in known if key.rpartition(".")[0] == section]
    return f"{f'keys of {section}' if section else 'sections and keys'} are: {', '.join(sorted(beside))}"


def _keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        for kind in (field.annotation, *get_args(field.annotation)):  # `Section` or `Section | None`
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                keys += _keys(kind, f"{prefix}{name}.")
    return keys
