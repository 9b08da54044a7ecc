"""Rows from the Hugging Face hub, through `datasets`, which is imported only here and only when asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.errors import TaskError
from tasks.rows import Row


@dataclass(frozen=True, slots=True)
class Hub:
    """Where a dataset lives on the hub, and which of its splits has which role.

    `configs`: all those that have the split are read, in order. `files`, split to JSON files, replace a
    loading script (`datasets` 4 runs none).
    """

    repo: str
    train: str | None = None
    held_out: str | None = None
    configs: tuple[str | None, ...] = (None,)
    files: Mapping[str, str] = field(default_factory=dict)

    def split(self, role: str | None) -> str:
        """The split for a role (`train`, also the default, or `held-out`); another name stands for itself."""
        if role is None or role == "train":
            return str(self.train or self.held_out)
        return str(self.held_out or self.train) if role == "held-out" else role


def hub_rows(name: str, hub: Hub, split: str | None) -> Iterator[Row]:
    """Rows of one split. Raises `TaskError` naming the local way where the hub cannot be read."""
    remedy = f"Give a local file instead: {name}=FILE (the same rows as JSON lines or array, may be gzipped)."
    try:
        import datasets
    except ImportError:
        raise TaskError(f"{name}: the package `datasets` is not installed. Install it. {remedy}") from None
    wanted = hub.split(split)
    urls = {part: f"hf://datasets/{hub.repo}/{path}" for part, path in hub.files.items()}
    index = 0
    missing: list[ValueError] = []
    for config in hub.configs:
        try:
            if urls:
                rows = datasets.load_dataset("json", data_files=urls, split=wanted)
            else:
                rows = datasets.load_dataset(hub.repo, config, split=wanted)
        except ValueError as error:  # this configuration has no such split; another may
            missing.append(error)
            continue
        except Exception as error:  # network, hub or cache: many types, one meaning for the user
            problem = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            raise TaskError(f"{name}: cannot read {hub.repo} from the hub ({problem}). {remedy}") from error
        for data in rows:
            row = {**data, "_config": config} if config else dict(data)
            yield Row(row, name, index, f"{hub.repo}, split {wanted}, row {index + 1}")
            index += 1
    if len(missing) == len(hub.configs):
        raise TaskError(f"{name}: {hub.repo} has no split {wanted!r} ({missing[0]}). {remedy}")
