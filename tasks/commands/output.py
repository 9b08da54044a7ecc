"""What the commands over tasks share: the file that they write, a table, an exit code."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tasks.errors import TaskError
from tasks.files import replacing

EXIT_NOT_GRADED = 4  # some rows: theirs is `infra` (the sandbox failed) or `invalid` (the row makes no sense)


@contextmanager
def atomic_writer(
    path: Path, option: str = "--out", *, overwrite: bool = False
) -> Iterator[Callable[[str], None]]:
    """Writes text to `path`, which the user gave as `option`, and which appears when it is complete; follows links.
    Raises `TaskError` where it cannot be written, or is there and not to be overwritten. Then, and when the caller
    fails, nothing is left of it."""
    if path.is_dir():
        raise TaskError(f"{option} {path}: is a folder; name a file in it")
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        raise TaskError(f"{option} {path}: is a device or a pipe, which cannot be replaced; name a file")
    if path.exists() and not overwrite:
        raise TaskError(f"{option} {path}: is there already; name another file, or add --overwrite")
    opener = gzip.open if path.suffix == ".gz" else open

    @contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TaskError(
                f"{option} {path}: cannot be written ({error.strerror}), and nothing was; make room, or name a file in "
                "another folder, of yours"
            ) from None

    def write(text: str) -> None:
        with told():
            stream.write(text)

    def close() -> None:
        with suppress(OSError):  # what could not be written cannot be flushed either
            stream.close()

    with ExitStack() as opened:
        with told():
            stream = opener(opened.enter_context(replacing(path)), "wt", encoding="utf-8")
        opened.callback(close)
        yield write
        with told():
            stream.close()
            opened.close()


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lines of aligned columns, as wide as what they hold: a name that is cut cannot be looked up."""
    lines = [[str(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
