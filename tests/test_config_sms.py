"""Routes for SMS: `[sms.route.NAME]` and STORMPETREL_SMS_ROUTE_NAME_KEY."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from stormpetrel.config_loader import LoadedConfig, load
from stormpetrel.config_sms import FileKeys, SmppKeys
from stormpetrel.errors import SetupError


def loaded(text: str, directory: Path, **environ: str) -> LoadedConfig:
    path = directory / "stormpetrel.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ={f"STORMPETREL_{key}": value for key, value in environ.items()})


def test_a_route_has_the_keys_of_every_provider_and_its_own(tmp_path: Path) -> None:
    text = """
        [sms]
        cap_day = 12.5
        [sms.route.drop]
        provider = "file"
        trust = "device"
        directory = "/srv/sms"
        price = 0.0079
        prices = "+995=0.05, +1=0.008"
    """
    config = loaded(text, tmp_path, SMS_ROUTE_CARRIER_PROVIDER="smpp", SMS_ROUTE_CARRIER_WINDOW="7").config
    carrier, drop = config.sms.routes
    assert (carrier.name, carrier.provider, carrier.trust) == ("carrier", "smpp", "aggregator")
    assert isinstance(carrier.keys, SmppKeys)
    assert carrier.keys.window == 7
    assert isinstance(drop.keys, FileKeys)
    assert drop.keys.directory == "/srv/sms"
    assert config.sms.cap_day == Decimal("12.5")
    assert drop.price_of("+995599123456") == Decimal("0.05")
    assert drop.price_of("+4915112345678") == Decimal("0.0079")


def test_the_environment_changes_a_route_of_the_file(tmp_path: Path) -> None:
    config = loaded(
        '[sms.route.drop]\nprovider = "file"\ndirectory = "/a"', tmp_path, SMS_ROUTE_DROP_DIRECTORY="/b"
    ).config
    assert [route.keys.directory for route in config.sms.routes] == ["/b"]


def test_a_secret_is_masked_where_the_configuration_is_printed(tmp_path: Path) -> None:
    origins = loaded('[sms.route.a]\nprovider = "smpp"\npassword = "wolf"', tmp_path).origins
    shown = {origin.key: origin.shown for origin in origins}
    assert shown["sms.route.a.password"] == "********"


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ("[sms.route.a]\nsender = 'x'", {}, "sms.route.a.provider must be set to one of smpp"),
        ("[sms.route.a]\nprovider = 'smp'", {}, "unknown provider 'smp' (did you mean smpp?)"),
        (
            "[sms.route.a]\nprovider = 'smpp'\nhst = ''",
            {},
            "unknown key [sms.route.a] hst (did you mean host?)",
        ),
        ("[sms.route.a]\nprovider = 'smpp'\ndirectory = ''", {}, "unknown key [sms.route.a] directory"),
        ("[sms.route.A]\nprovider = 'smpp'", {}, "a name has only a to z and 0 to 9"),
        ("[sms]\nroute = 1", {}, "write [sms.route.NAME]"),
        ("[sms.route]\na = 1", {}, "write [sms.route.NAME]"),
        ("[web.route.carrier]\nprovider = 'smpp'", {}, "unknown key [web] route"),
        ("", {"SMS_ROUTE_A": "x"}, "write STORMPETREL_SMS_ROUTE_NAME_KEY"),
        ("", {"SMS_ROUTE_A_PORT": "x"}, "sms.route.a.provider must be set"),
        (
            "",
            {"SMS_ROUTE_A_PROVIDER": "smpp", "SMS_ROUTE_A_PORT": "x"},
            "SMS_ROUTE_A_PORT must be a whole number",
        ),
        (
            "",
            {"SMS_ROUTE_A_PROVIDER": "smpp", "SMS_ROUTE_A_HST": "x"},
            "(did you mean STORMPETREL_SMS_ROUTE_A_HOST?)",
        ),
        ("[sms.route.a]\nprovider = 'smpp'\nprice = 'much'", {}, "must be an amount of money like 0.05"),
        ("[sms.route.a]\nprovider = 'smpp'\nprice = -1", {}, "must be an amount of money"),
        ("[sms.route.a]\nprovider = 'smpp'\nprice = true", {}, "must be an amount of money"),
        ("[sms.route.a]\nprovider = 'smpp'\nprices = '995:1'", {}, "must be like +995=0.05,+1=0.008"),
        ("[sms.route.a]\nprovider = 'smpp'\nprices = '+9=x'", {}, "must be like +995=0.05,+1=0.008"),
        ("[sms.route.a]\nprovider = 'smpp'\ncountry = 'Georgia'", {}, "must be a code like GE"),
        ("[sms]\ncap_day = 'NaN'", {}, "must be an amount of money"),
    ],
)
def test_a_mistake_in_a_route_is_named(tmp_path: Path, text: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(SetupError) as refused:
        loaded(text, tmp_path, **environ)
    assert said in refused.value.safe_text
