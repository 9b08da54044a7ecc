"""Rows from the Hugging Face hub, through `datasets`, which is imported only here and only when asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.errors import TaskError
from tasks.rows import Row


@dataclass(frozen=True, slots=True)
class Hub:
    """Where a dataset lives on the hub.

    `split` is read unless the caller names another. `configs`: all those that have the split are
    read, in order. `files` replace a loading script (`datasets` 4 runs none): a JSON file per split.
    """

    repo: str
    split: str
    configs: tuple[str | None, ...] = (None,)
    files: tuple[tuple[str, str], ...] = ()


def hub_rows(name: str, hub: Hub, split: str | None) -> Iterator[Row]:
    """Rows of one split. Raises `TaskError` naming the local way where the hub cannot be read."""
    remedy = f"Give a local file instead: {name}=FILE (the same rows as JSON lines or array, may be gzipped)."
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError:
        raise TaskError(f"{name}: the package `datasets` is not installed. Install it. {remedy}") from None
    wanted = split or hub.split
    index = 0
    missing: list[Exception] = []
    for config in hub.configs:
        try:
            if hub.files:
                urls = {key: f"hf://datasets/{hub.repo}/{path}" for key, path in hub.files}
                rows = datasets.load_dataset("json", data_files=urls, split=wanted)
            else:
                rows = datasets.load_dataset(hub.repo, config, split=wanted)
        except ValueError as error:  # a config without this split; an unknown split fails below
            missing.append(error)
            continue
        except Exception as error:  # the network, the hub, the cache: many types, one meaning for the user
            problem = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            raise TaskError(f"{name}: cannot read {hub.repo} from the hub ({problem}). {remedy}") from error
        for data in rows:
            row = {**data, "_config": config} if config else dict(data)
            yield Row(row, name, index, f"{hub.repo}, split {wanted}, row {index + 1}")
            index += 1
    if len(missing) == len(hub.configs):
        raise TaskError(f"{name}: {hub.repo} has no split {wanted!r} ({missing[0]}). {remedy}")
