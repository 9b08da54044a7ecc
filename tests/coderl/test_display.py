"""What a run says, where it is no terminal that shows it, and of which model."""

from __future__ import annotations

from pathlib import Path

import pytest

from coderl.config.load import load
from coderl.runfolder.write import RunFolder
from coderl.training.commands import outcome
from coderl.training.display import Display


def test_a_note_is_one_line_of_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    Display().note("word " * 60)
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("warmed_up", "name"), [(True, "warm model"), (False, "before training")])
def test_only_a_model_that_was_warmed_up_is_called_so(tmp_path: Path, warmed_up: bool, name: str) -> None:
    folder = RunFolder.create(load(None, [f'runs="{tmp_path}"']), ["coderl"])
    for step in (0, 1):
        folder.log("eval", step, name="held-out", tasks=1, samples=1, pass_at_k={"1": 0.5}, compile_rate=1.0)
    lines = outcome(folder, warmed_up=warmed_up).splitlines()
    assert [line[:20].strip() for line in lines[1:]] == [name, "trained"]
