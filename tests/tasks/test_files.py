"""Files and folders that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.files import replacing, write_text


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_or_folder_takes_the_place_of_an_earlier_one(tmp_path: Path, sync: bool) -> None:
    for text in ("one", "two"):
        write_text(tmp_path / "file", text)
        with replacing(tmp_path / "folder", sync=sync) as folder:
            (folder / "inner").mkdir(parents=True)
            (folder / "inner" / text).write_text(text)
    assert (tmp_path / "file").read_text() == "two"
    assert [path.name for path in (tmp_path / "folder" / "inner").iterdir()] == ["two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_fails_leaves_the_earlier_one_and_nothing_else(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "kept"
    path.mkdir() if folder else path.write_text("earlier")

    def fail() -> None:
        with replacing(path, sync=True) as temporary:
            if folder:
                temporary.mkdir()
            (temporary / "half" if folder else temporary).write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert list(tmp_path.iterdir()) == [path] and (folder or path.read_text() == "earlier")
