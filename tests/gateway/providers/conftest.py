"""A port for a carrier."""

from __future__ import annotations

import pytest

from tests.gateway.providers.smpp_parts import Inbox
from tests.ports import reserved_ports


@pytest.fixture
def port():
    with reserved_ports(1) as (port,):
        yield port


@pytest.fixture
def inbox():
    return Inbox()
