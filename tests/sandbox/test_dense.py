"""What is done before the first fork so that a process writes to few pages."""

from __future__ import annotations

import subprocess
import sys

_FILL = """
from sandbox.inside.supervisor import dense

holes = [bytes(number % 400) for number in range(50_000)]
del holes[::3]
kept = []
for _ in range(3):
    dense.fill_holes()
    kept.append(len(dense._kept))
places = [id(block) for block in [bytes(200) for _ in range(16)]]
print(kept[0] > 10_000, kept[2] - kept[0] < 1_000, max(places) - min(places) < 2 * 16 * 240)
"""


def test_holes_are_filled_once_and_new_objects_lie_together() -> None:
    found = subprocess.run([sys.executable, "-c", _FILL], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True"] * 3
