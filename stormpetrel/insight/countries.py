"""Countries of noted addresses, from a table of the operator, for internal editions alone."""

from __future__ import annotations

import csv
from collections import Counter
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from stormpetrel.errors import SetupError
from stormpetrel.model.insight import Number, ReportWindow
from stormpetrel.storage.insight import noted_addresses
from stormpetrel.storage.insight_queries import JOURNAL

MAX_ROWS = 1_000_000
UNLISTED = "not in the table"


def countries_of(data_dir: Path, window: ReportWindow, *, table: str) -> tuple[tuple[str, Number], ...]:
    """Return (country, journal entries about the clients that used most CPU time), most first.

    Raise SetupError if the table cannot be read, InsightUnreadable for the journal.
    """
    query, addresses = noted_addresses(data_dir, window)
    if not addresses:
        return ()
    networks = read_table(Path(table))
    counts: Counter[str] = Counter()
    for text, count in addresses:
        counts[country_of(text, networks)] += count
    return tuple((name, Number(count, query, JOURNAL)) for name, count in counts.most_common())


def read_table(path: Path) -> dict[IPv4Network | IPv6Network, str]:
    """Return the table, a CSV file of network,country, with # before comments. Raise SetupError if it is wrong."""
    found: dict[IPv4Network | IPv6Network, str] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file), start=1):
                if not row or row[0].startswith("#"):
                    continue
                if len(row) < 2 or number > MAX_ROWS:
                    raise SetupError(f"{path}, line {number}: not network,country")
                found[ip_network(row[0].strip(), strict=False)] = row[1].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"insight.countries: {path} cannot be read: {error}") from error
    except ValueError as error:
        raise SetupError(f"{path}: {error}") from error
    return found


def country_of(text: str, networks: dict[IPv4Network | IPv6Network, str]) -> str:
    """Return the country of the smallest network with this address; UNLISTED if there is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return UNLISTED
    for length in range(address.max_prefixlen, -1, -1):
        country = networks.get(ip_network((address, length), strict=False))
        if country is not None:
            return country
    return UNLISTED
