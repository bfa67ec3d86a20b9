"""A folder with the record and the journal of an attack."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.insight import recorded


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    recorded.write_both(tmp_path)
    return tmp_path
