from pathlib import Path

from stormpetrel.control.guard_messages import (
    GuardList,
    GuardReport,
    decode_list,
    decode_report,
    socket_folder,
)
from stormpetrel.control.wire import encode


def test_the_messages_survive_the_wire():
    changes = GuardList((("45.90.1.10", 30),), ("45.90.1.11",), is_all=True)
    assert decode_list(encode(changes)) == changes
    report = GuardReport(1, 2, 3, "no kernel")
    assert decode_report(encode(report)) == report


def test_the_socket_is_in_the_directory_that_systemd_made_or_else_with_the_data(tmp_path, monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert socket_folder(tmp_path) == tmp_path
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/stormpetrel:/run/other")
    assert socket_folder(tmp_path) == Path("/run/stormpetrel")
