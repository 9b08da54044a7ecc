"""What a report holds side by side: a column is one policy's graded samples of a set of tasks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from analysis.measures.tally import Group, GroupKey, Tally, tally
from analysis.reading.reader import Run, open_run
from analysis.reading.rows import TRAINING
from coderl.runfolder.layout import CONTROL


@dataclass(frozen=True, slots=True)
class Source:
    """A run that was read once from end to end."""

    run: Run
    tally: Tally


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    source: Source
    key: GroupKey

    @property
    def group(self) -> Group:
        return self.source.tally.groups[self.key]


def load(path: Path) -> Source:
    """Read a run folder or verdict file. Raises `RunError`."""
    run = open_run(path)
    source = Source(run, tally(run.rows(brief_training=True)))
    if run.is_folder and not source.tally.groups:
        run.note("No completions were found: rollouts/ and evals/ hold no readable Parquet file.")
    return source


def evaluations(source: Source) -> list[GroupKey]:
    """Every evaluation whose completions were read, by name and step."""
    return sorted(key for key in source.tally.groups if key.source != TRAINING)


def main_evaluation(source: Source) -> str | None:
    """The evaluation that was run most often, controls left out; ties go to the first by name."""
    names = Counter(key.source for key in evaluations(source))
    names.update(str(line.get("name")) for line in source.run.evals if str(line.get("name")) not in names)
    real = {name: count for name, count in sorted(names.items()) if CONTROL not in name}
    return max(real, key=lambda name: real[name]) if real else None


def own_columns(source: Source) -> list[Column]:
    """A run beside itself: its main evaluation first and last, then the last of each control."""
    keys = evaluations(source)
    main = main_evaluation(source)
    steps = [key for key in keys if key.source == main]
    chosen = [steps[0], steps[-1]] if len(steps) > 1 else steps
    for name in sorted({key.source for key in keys if CONTROL in key.source}):
        chosen.append(max(key for key in keys if key.source == name))
    return [Column(_label(source, key), source, key) for key in chosen]


def last_column(source: Source) -> Column | None:
    """The run's last main evaluation, labelled by the run's name, for comparisons between runs."""
    main = main_evaluation(source)
    keys = [key for key in evaluations(source) if key.source == main]
    if not keys:
        return None
    where = f", step {keys[-1].step}" if source.run.is_folder else ""
    return Column(f"{source.run.name}{where}", source, keys[-1])


def _label(source: Source, key: GroupKey) -> str:
    return f"{key.source}, step {key.step}" if source.run.is_folder else source.run.name
