from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data(shared: Path) -> Path:
    """The folder of real data sets."""
    return shared / "data"
