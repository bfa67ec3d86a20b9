import ipaddress

import pytest

from stormpetrel.errors import EnvironmentFailure
from stormpetrel.guard import drop_table
from stormpetrel.guard.drop_table import DropTable, NftFailed, nft_program, nft_shown
from tests.guard.networks import two_machines

A, B = ipaddress.ip_network("45.90.1.10"), ipaddress.ip_network("2a0e:b107:0:1::/64")


def recorded(answer=""):
    """Return a table, and the list of the commands that it gave."""
    commands = []

    def nft(text):
        commands.append(text)
        return answer

    return DropTable((80, 443), nft), commands


def test_nft_takes_every_command_and_lists_what_was_added():
    table, commands = recorded()
    table.create({A: 30})
    table.change(add={B: 60}, drop=[ipaddress.ip_network("45.90.1.11")])
    table.count()
    with two_machines() as (server, _):
        for text in commands:
            done = server.start("nft", "-f", "-", stdin=-1, stdout=-1, stderr=-1)
            assert done.communicate(text) is not None
            assert done.returncode == 0, text
        listed = server.run("nft", "list", "table", "inet", "stormpetrel_guard").stdout
    assert "45.90.1.10 timeout 30s" in listed
    assert "2a0e:b107:0:1:: timeout 1m" in listed
    assert "45.90.1.11" not in listed
    assert "hook prerouting priority raw; policy accept;" in listed


def test_packets_are_added_up():
    table, _ = recorded(
        "table inet stormpetrel_guard {\n\tcounter dropped {\n\t\tpackets 7 bytes 420\n\t}\n}\n"
    )
    table.count()
    table.count()
    assert table.packets == 14


def test_nothing_is_run_when_nothing_changes():
    table, commands = recorded()
    table.change(add={}, drop=[])
    assert commands == []


def test_many_entries_become_several_commands_of_one_transaction():
    table, commands = recorded()
    first = ipaddress.ip_address("46.0.0.0")
    table.create({ipaddress.ip_network(first + n): 30 for n in range(4_001)})
    (text,) = commands
    assert text.count("add element inet stormpetrel_guard ipv4_32 {") == 3


def test_no_command_touches_another_table():
    table, commands = recorded()
    table.create({A: 30})
    table.change(add={A: 30}, drop=[A])
    table.count()
    table.delete()
    for line in "".join(commands).splitlines():
        if line.startswith(("add", "delete", "reset", "table")):
            assert " inet stormpetrel_guard" in line


def test_a_command_that_nft_refuses_is_an_error_of_one_line():
    with two_machines():
        pass
    with pytest.raises(NftFailed, match="Error: syntax error"):
        nft_program()("nonsense\n")


def test_a_trial_prints_the_commands(capsys):
    table = DropTable((80,), nft_shown)
    table.create({A: 30})
    assert "add element inet stormpetrel_guard ipv4_32 { 45.90.1.10 timeout 30s }" in capsys.readouterr().out


def test_without_nft_the_error_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(drop_table, "_PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailure, match="apt-get install nftables"):
        nft_program()
