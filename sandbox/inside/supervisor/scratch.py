"""A folder that a program wrote to: what is in it, and how it is emptied however it was left."""

from __future__ import annotations

import os
import sys


def empty(folder: str) -> None:
    """Delete all in `folder`, as the user who made it: closed folders, and trees of any depth.

    Changes the working directory. No process may write there meanwhile. Raises `OSError` where something is left.
    """
    os.chdir(folder)
    left = [_clear_here()]  # for each folder from the top down to here: folders in it still to be emptied
    while True:
        if left[-1]:
            os.chdir(left[-1][-1])
            left.append(_clear_here())
            continue
        left.pop()
        if not left:
            return
        os.chdir("..")
        os.rmdir(left[-1].pop())


def _clear_here() -> list[str]:
    """Delete what can be deleted in the working directory; the folders that have something in them."""
    full = []
    with os.scandir(".") as entries:
        for entry in list(entries):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name)
                continue
            try:
                os.rmdir(entry.name)
            except OSError:  # not empty
                os.chmod(entry.name, 0o700)
                full.append(entry.name)
    return full


def bytes_used(folder: str, *, most: int) -> int:
    """What the files beneath `folder` take, and a page for each; counting ends above `most`.

    A folder that cannot be opened counts as above `most`: something hides in it.
    """
    used, folders = 0, [folder]
    while folders and used <= most:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    used += 4096 + 512 * entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    if used > most:
                        break
        except FileNotFoundError:
            continue  # deleted while we looked
        except OSError:  # closed, or too deep for a path
            return most + 1
    return used


if __name__ == "__main__":
    empty(sys.argv[1])
