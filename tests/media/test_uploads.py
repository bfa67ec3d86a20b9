"""The uploads of one worker: so many at once for each account."""

from __future__ import annotations

from pathlib import Path

import pytest

from stormpetrel.config import Config
from stormpetrel.errors import TooMany
from tests.media_files import uploads_in


def test_an_account_uploads_only_so_many_at_once_and_others_go_on(tmp_path: Path) -> None:
    uploads = uploads_in(tmp_path)
    most = Config().media.uploads_per_account
    held = [uploads.place_for(1) for _ in range(most)]
    for place in held:
        place.__enter__()
    with pytest.raises(TooMany), uploads.place_for(1):
        pass
    with uploads.place_for(2):
        pass
    held.pop().__exit__(None, None, None)
    with uploads.place_for(1):
        pass
