import ipaddress
import sys

from stormpetrel.guard.own_network import own_network
from tests.guard.networks import LISTED, SERVER, SERVER_IPV6, two_machines

FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
Local:
        |-- 127.0.0.1
           /32 host LOCAL
"""
ROUTE = """Iface\tDestination\tGateway \tFlags
eth0\t00000000\t010200C0\t0003
eth0\t000200C0\t00000000\t0001
"""


def test_interfaces_gateways_and_resolvers_are_read_from_the_kernel(tmp_path):
    (tmp_path / "fib_trie").write_text(FIB)
    (tmp_path / "route").write_text(ROUTE)
    (tmp_path / "if_inet6").write_text("20010db8000000000000000000000007 02 40 00 80     eth0\n")
    (tmp_path / "ipv6_route").write_text(
        f"{'0' * 32} 00 {'0' * 32} 00 20010db8000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n"
    )
    resolvers = tmp_path / "resolv.conf"
    resolvers.write_text(
        "# a comment\nsearch example.org\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver x\n"
    )
    assert own_network(proc=tmp_path, resolvers=resolvers) == tuple(
        map(
            ipaddress.ip_network,
            ("127.0.0.1", "192.0.2.1", "192.0.2.7", "192.0.2.53", "2001:db8::1", "2001:db8::7", "fe80::1"),
        )
    )


def test_a_machine_without_ipv6_or_resolvers_has_the_other_addresses(tmp_path):
    (tmp_path / "fib_trie").write_text(FIB)
    found = own_network(proc=tmp_path, resolvers=tmp_path / "missing")
    assert found == (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("192.0.2.7"))


def test_the_real_files_name_the_addresses_of_the_machine():
    code = "from stormpetrel.guard.own_network import own_network; print(*own_network())"
    with two_machines() as (server, client):
        server.run("ip", "route", "add", "default", "via", LISTED)
        found = server.run(sys.executable, "-c", code).stdout.split()
        assert {f"{SERVER}/32", f"{SERVER_IPV6}/128", f"{LISTED}/32", "127.0.0.1/32"} <= set(found)
        assert f"{LISTED}/32" in client.run(sys.executable, "-c", code).stdout.split()
