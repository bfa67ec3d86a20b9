"""Providers by name: those of this package, and one of another distribution."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from stormpetrel.config_loader import load
from stormpetrel.config_sms import KEYS, RouteConfig
from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import ProviderKind
from stormpetrel.gateway.providers.registry import kind_of, make
from tests.gateway.inbox import route, run, unit

PLUGIN = """
from dataclasses import dataclass
from stormpetrel.config_sms import key
from stormpetrel.gateway.provider import Accepted, Capabilities, LinkState, ProviderKind

@dataclass(frozen=True, slots=True)
class Keys:
    depth_m: int = key(0, "depth of the water", low=0, high=11_000)

class Bottle:
    capabilities = Capabilities(window=1, has_receipts=False)
    state = LinkState.UP

    def __init__(self, route):
        self.depth_m = route.keys.depth_m

    async def start(self, inbound): ...

    async def send(self, unit):
        return Accepted(f"bottle-{self.depth_m}-{unit.id}")

    async def stop(self): ...

KIND = ProviderKind(Keys, Bottle)
NOT_A_KIND = 7
"""
ENTRY_POINTS = """[stormpetrel.sms]
bottle = drift_bottle:KIND
broken = drift_bottle:MISSING
absent = no_such_module:KIND
seven = drift_bottle:NOT_A_KIND
"""


@pytest.fixture
def installed_plugin(tmp_path, monkeypatch):
    """A distribution with an entry point, as pip leaves it on sys.path."""
    (tmp_path / "drift_bottle.py").write_text(PLUGIN, encoding="utf-8")
    metadata = tmp_path / "drift_bottle-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: drift-bottle\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("drift_bottle", None)


def test_a_provider_of_another_distribution_is_configured_and_used(installed_plugin, tmp_path):
    path = tmp_path / "stormpetrel.toml"
    path.write_text('[sms.route.sea]\nprovider = "bottle"\ndepth_m = 70\n')
    (config,) = load(path, environ={}).config.sms.routes
    provider = make(config)
    assert run(lambda: provider.send(unit(id="9"))).carrier_id == "bottle-70-9"


def test_a_provider_that_cannot_be_loaded_is_an_error_of_the_setup(installed_plugin):
    for name in ("broken", "absent"):
        with pytest.raises(SetupError, match=f"the SMS provider {name} .* cannot be loaded"):
            kind_of(name)
    with pytest.raises(SetupError, match="seven does not define a ProviderKind"):
        kind_of("seven")


def test_an_unknown_provider_is_an_error_that_names_a_similar_one():
    with pytest.raises(SetupError, match=r"there is no SMS provider 'fil' \(did you mean file\?\)"):
        make(RouteConfig(name="main", provider="fil"))
    with pytest.raises(SetupError, match=r"there is no SMS provider 'zzz'$"):
        kind_of("zzz")


@pytest.mark.parametrize("name", ["android", "file", "gammu", "kannel", "telnyx", "twilio"])
def test_the_providers_of_this_package_are_found_by_name(name):
    kind = kind_of(name)
    assert isinstance(kind, ProviderKind)
    assert kind.keys is KEYS[name]
    # Each needs something that an empty route has not.
    with pytest.raises(SetupError, match=rf"sms\.route\.main\.\w+ is missing: {name} needs it"):
        make(route(name))


def test_only_the_sms_role_loads_the_http_client():
    program = "import sys, stormpetrel.roles.web; sys.exit('urllib3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
