"""A record to be made, in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import Making


@pytest.fixture
def making(tmp_path: Path) -> Making:
    return Making(tmp_path)
