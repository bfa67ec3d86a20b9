"""Configuration: the source of each value, and the errors about invalid ones."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.config import Config, is_loopback
from stormpetrel.config_loader import LoadedConfig, Origin, load
from stormpetrel.errors import SetupError


def written(directory: Path, text: str, name: str = "stormpetrel.toml") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def loaded(text: str = "", *, directory: Path, **environ: str) -> LoadedConfig:
    """Return the configuration read from a file with that text, in its own data directory."""
    written(directory, text)
    variables = {f"STORMPETREL_{name}": value for name, value in environ.items()}
    return load(environ={"STORMPETREL_DATA_DIR": str(directory)} | variables)


def origin_of(found: LoadedConfig, key: str) -> Origin:
    (origin,) = [origin for origin in found.origins if origin.key == key]
    return origin


def test_without_anything_the_defaults_stand() -> None:
    found = load(environ={})
    assert found.path is None
    assert found.config.web.port == 8000
    assert found.config.status.port == 8001
    assert found.config.data_dir == Path("data").absolute()
    assert found.config.base_url == "http://127.0.0.1:8000"
    assert found.config.status_url == "http://127.0.0.1:8001"
    assert found.config.database_url == f"sqlite:///{Path('data').absolute() / 'stormpetrel.db'}"
    assert {origin.origin for origin in found.origins} == {"default"}


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"WEB_HOST": "::1", "STATUS_PORT": "99"}, "http://[::1]:99"),
        ({"PUBLIC_URL": "https://petrel.example"}, ""),
        (
            {"PUBLIC_URL": "https://petrel.example", "STATUS_PUBLIC_URL": "https://how.petrel.example"},
            "https://how.petrel.example",
        ),
    ],
)
def test_people_are_sent_to_the_status_page_only_where_they_can_reach_it(
    settings: dict[str, str], url: str
) -> None:
    environ = {f"STORMPETREL_{name}": value for name, value in settings.items()}
    assert load(environ=environ).config.status_url == url


def test_where_the_status_page_is_must_be_an_address() -> None:
    with pytest.raises(SetupError, match=r"status\.public_url must be like https://"):
        load(environ={"STORMPETREL_STATUS_PUBLIC_URL": "how.petrel.example"})


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    found = loaded("title = 'File'\n[web]\nport = 1234\nworkers = 3", directory=tmp_path, WEB_PORT="99")
    assert (found.config.web.port, found.config.web.workers, found.config.title) == (99, 3, "File")
    path = str(tmp_path / "stormpetrel.toml")
    assert origin_of(found, "web.port").origin == "STORMPETREL_WEB_PORT"
    assert origin_of(found, "web.workers").origin == path
    assert origin_of(found, "title").origin == path
    assert origin_of(found, "web.host").origin == "default"
    assert str(found.path) == path


def test_a_named_file_wins_over_the_variable_and_both_over_the_data_directory(tmp_path: Path) -> None:
    named, of_variable = (
        written(tmp_path, f"title = '{name}'", f"{name}.toml") for name in ("named", "other")
    )
    written(tmp_path / "data", "title = 'data'")
    environ = {"STORMPETREL_DATA_DIR": str(tmp_path / "data")}
    assert load(environ=environ).config.title == "data"
    environ["STORMPETREL_CONFIG"] = str(of_variable)
    assert load(environ=environ).config.title == "other"
    assert load(named, environ=environ).config.title == "named"


def test_a_named_file_without_a_data_directory_lies_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "place", "title = 'x'")
    for path in ("place/stormpetrel.toml", tmp_path / "place" / "stormpetrel.toml"):
        found = load(path, environ={})
        assert found.config.data_dir == tmp_path / "place"
        origin = origin_of(found, "data_dir")
        assert Path(str(origin.value)).absolute() == tmp_path / "place"
        assert origin.origin != "default"
    assert (
        load("place/stormpetrel.toml", environ={"STORMPETREL_DATA_DIR": "e"}).config.data_dir
        == tmp_path / "e"
    )
    written(tmp_path / "place", "data_dir = 'elsewhere'")
    assert load("place/stormpetrel.toml", environ={}).config.data_dir == tmp_path / "elsewhere"


def test_the_variables_that_are_promised_are_there(tmp_path: Path) -> None:
    values = {
        "WEB_PORT": "1",
        "WEB_HOST": "127.0.0.2",
        "PUBLIC_URL": "https://example.org",
        "STATUS_PORT": "2",
        "DATABASE_URL": "postgresql://u:p@h/d",
        "VALKEY_URL": "redis://h",
        "SHIELD_MODE": "off",
        "WEB_WORKERS": "5",
        "SMS_PORT": "3",
        "COURIER_PORT": "4",
        "REGISTRATION": "approval",
    }
    config = loaded(directory=tmp_path, **values).config
    assert (config.web.port, config.web.host, config.web.workers) == (1, "127.0.0.2", 5)
    assert (config.status.port, config.sms.port, config.courier.port) == (2, 3, 4)
    assert (config.database_url, config.valkey.url) == ("postgresql://u:p@h/d", "redis://h")
    assert (config.shield.mode, config.registration) == ("off", "approval")
    assert config.base_url == "https://example.org"


def test_every_key_has_a_variable_and_a_line_about_it() -> None:
    found = load(environ={})
    assert len({origin.key for origin in found.origins}) == len(found.origins) > 30
    for origin in found.origins:
        assert origin.about
        variable = f"STORMPETREL_{origin.key.replace('.', '_').upper()}"
        text = str(origin.value) or {"database.url": "sqlite:///x", "valkey.url": "redis://h"}.get(
            origin.key, ""
        )
        assert origin_of(load(environ={variable: text}), origin.key).origin == variable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("titel = 'x'", "unknown key titel (did you mean title?)"),
        ("[web]\nprot = 1", "unknown key [web] prot (did you mean port?)"),
        ("[wbe]\nport = 1", "unknown key wbe (did you mean web?)"),
        ("web = 5", "web is a section: write [web]"),
        ("[title]\nx = 1", "title must be text"),
        ("[web]\nport = 'many'", "web.port must be a whole number, not 'many'"),
        ("[web]\nport = 80.5", "web.port must be a whole number, not 80.5"),
        ("[web]\nport = true", "web.port must be a number, not True"),
        ("[web]\nport = inf", "web.port must be a whole number, not inf"),
        ("[web]\nport = nan", "web.port must be a whole number, not nan"),
        ("[web]\nport = [1]", "web.port must be a number"),
        ("[web]\nport = 2020-01-01", "web.port must be a number"),
        ("[web]\nport = 65536", "web.port must be between 0 and 65535, not 65536"),
        ("[web]\nport = -1", "web.port must be between 0 and 65535, not -1"),
        ("[web]\nworkers = 0", "web.workers must be between 1 and 64, not 0"),
        ("[edge]\ncache_ttl_s = nan", "edge.cache_ttl_s must be between"),
        ("[edge]\ncache_ttl_s = -0.1", "edge.cache_ttl_s must be between"),
        ("[web]\nhost = 1", "web.host must be text, not 1"),
        ("data_dir = 5", "data_dir must be the name of a directory, not 5"),
        ("data_dir = ''", "data_dir must be the name of a directory"),
        (
            "[shield]\nmode = 'on'",
            "shield.mode must be one of full, off, per-address, bounded, overcompensate, not 'on'",
        ),
        ("registration = 'Open'", "registration must be one of open, approval, closed, not 'Open'"),
        ("port = \n", "Invalid value"),
        ("registration = closed", 'put text in quotes: title = "Skerry"'),
        ("a = 1\na = 2", "Cannot overwrite"),
        ("[mail]\n[web]\n[mail]", "this section is already in the file"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_the_file(tmp_path: Path, text: str, said: str) -> None:
    written(tmp_path, text)
    with pytest.raises(SetupError) as refused:
        load(tmp_path / "stormpetrel.toml", environ={})
    assert said in refused.value.safe_text
    assert str(tmp_path / "stormpetrel.toml") in refused.value.safe_text
    assert "\n" not in refused.value.safe_text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "WEB_PRT",
            "1",
            "unknown environment variable STORMPETREL_WEB_PRT (did you mean STORMPETREL_WEB_PORT?)",
        ),
        ("", "1", "unknown environment variable STORMPETREL_"),
        ("WEB_PORT", "", "STORMPETREL_WEB_PORT must be a whole number, not ''"),
        ("WEB_PORT", "0x10", "STORMPETREL_WEB_PORT must be a whole number"),
        ("WEB_PORT", "9" * 5000, "STORMPETREL_WEB_PORT must be"),
        ("EDGE_CACHE_TTL_S", "inf", "STORMPETREL_EDGE_CACHE_TTL_S must be between"),
        ("EDGE_CACHE_TTL_S", "soon", "STORMPETREL_EDGE_CACHE_TTL_S must be a number"),
        ("SHIELD_MODE", "FULL", "STORMPETREL_SHIELD_MODE must be one of"),
        ("CONFIG", "/nowhere/x.toml", "configuration file not found: /nowhere/x.toml"),
        ("CONFIG", "/", "configuration file not found: /"),
        ("DATABASE_URL", "mysql://h/d", "database.url must start with"),
        ("VALKEY_URL", "http://h", "valkey.url must start with"),
    ],
)
def test_what_is_wrong_in_the_environment_is_said_with_the_variable(name: str, value: str, said: str) -> None:
    with pytest.raises(SetupError) as refused:
        load(environ={f"STORMPETREL_{name}": value})
    assert said in refused.value.safe_text


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stormpetrel.toml"
    path.write_bytes(b"title = '\xff'")
    with pytest.raises(SetupError, match="utf-8"):
        load(path, environ={})


@pytest.mark.parametrize(
    ("url", "base", "domain"),
    [
        ("https://example.org", "https://example.org", "example.org"),
        ("https://Example.ORG/", "https://example.org", "example.org"),
        ("HTTPS://example.org:443", "https://example.org", "example.org"),
        (" https://example.org\n", "https://example.org", "example.org"),
        ("https://example.org:8443", "https://example.org:8443", "example.org:8443"),
        ("http://localhost:80", "http://localhost", "localhost"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://127.3.2.1", "http://127.3.2.1", "127.3.2.1"),
        ("http://[::1]:8000", "http://[::1]:8000", "[::1]:8000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_the_public_address_has_one_spelling(url: str, base: str, domain: str) -> None:
    config = load(environ={"STORMPETREL_PUBLIC_URL": url}).config
    assert (config.base_url, config.domain) == (base, domain)


@pytest.mark.parametrize(
    "url",
    [
        *("example.org", "//example.org", "ftp://example.org", "https://", "https://example.org/path"),
        *("https://example.org?x", "https://example.org#x", "https://user@example.org", "https://u:p@example.org"),
        *("https://exam ple.org", "https://[::1", "https://example.org:port", "https://example.org:99999"),
        *("https://ex<ample>.org", "https://-example.org", "javascript:alert(1)"),
        *("http://example.org", "http://127.0.0.1.example.org", "http://127.example.org", "http://10.0.0.1"),
    ],
)  # fmt: skip
def test_a_public_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SetupError, match="public_url"):
        load(environ={"STORMPETREL_PUBLIC_URL": url})


def test_without_a_public_address_it_is_where_the_web_listens() -> None:
    for host, base in (
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://127.0.0.1:8000"),
    ):
        assert load(environ={"STORMPETREL_WEB_HOST": host}).config.base_url == base
    with pytest.raises(SetupError, match="public_url must be https"):
        load(environ={"STORMPETREL_WEB_HOST": "192.168.1.5"})


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("secret_key", "hush", "********"),
        ("secret_key", "", ""),
        ("database.url", "postgresql://bob:hush@db.example:5432/x", "postgresql://bob:********@db.example:5432/x"),
        ("database.url", "postgresql://bob:hu@sh@db.example/x", "postgresql://bob:********@db.example/x"),
        ("database.url", "postgresql://db/x?user=bob&password=hush&ssl=1", "postgresql://db/x?user=bob&password=********&ssl=1"),
        ("database.url", "postgresql://bob@db/x", "postgresql://bob@db/x"),
        ("database.url", "sqlite:////home/a@b/c:d@x.db", "sqlite:////home/a@b/c:d@x.db"),
        ("valkey.url", "redis://:hush@h:6379/0", "redis://:********@h:6379/0"),
        ("title", "secret_key", "secret_key"),
    ],
)  # fmt: skip
def test_secrets_are_masked(key: str, value: str, shown: str) -> None:
    variable = f"STORMPETREL_{key.replace('.', '_').upper()}"
    origin = origin_of(load(environ={variable: value}), key)
    assert origin.shown == shown
    assert origin.value == value


def test_home_is_expanded_and_the_data_directory_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(environ={"STORMPETREL_DATA_DIR": "~/x"}).config.data_dir == tmp_path / "x"
    assert load(environ={"STORMPETREL_DATA_DIR": "x"}).config.data_dir.is_absolute()


@given(st.sampled_from([origin.key for origin in load(environ={}).origins]), st.text(max_size=20))
def test_no_value_of_a_variable_raises_anything_but_a_setup_error(key: str, value: str) -> None:
    variable = f"STORMPETREL_{key.replace('.', '_').upper()}"
    try:
        config = load(environ={variable: value}).config
    except SetupError:
        return
    for section in dataclasses.fields(Config):
        part: Any = getattr(config, section.name)
        for one in dataclasses.fields(part) if dataclasses.is_dataclass(part) else ():
            number = getattr(part, one.name)
            assert not isinstance(number, float) or math.isfinite(number)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *((host, True) for host in ("localhost", "127.0.0.1", "127.255.0.9", "::1")),
        *((host, False) for host in ("example.org", "127.example.org", "0.0.0.0", "::", "10.0.0.1", "")),
    ],
)
def test_what_only_this_machine_can_reach(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_proxies_that_are_believed_are_addresses_and_networks(tmp_path: Path) -> None:
    text = "[edge]\ntrusted_proxies = '127.0.0.1, 10.1.0.0/16,2001:db8::/32,'\nproxy_protocol = true"
    found = loaded(text, directory=tmp_path)
    assert [str(network) for network in found.config.edge.proxy_networks] == [
        "127.0.0.1/32",
        "10.1.0.0/16",
        "2001:db8::/32",
    ]
    assert found.config.edge.proxy_protocol is True
    assert origin_of(found, "edge.proxy_protocol").shown == "true"
    found = loaded(text, directory=tmp_path, EDGE_TRUSTED_PROXIES="::1", EDGE_PROXY_PROTOCOL="false")
    assert [str(network) for network in found.config.edge.proxy_networks] == ["::1/128"]
    assert found.config.edge.proxy_protocol is False
    assert load(environ={}).config.edge.proxy_networks == ()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("trusted_proxies = 'proxy.example.org'", "edge.trusted_proxies: 'proxy.example.org' is neither"),
        ("trusted_proxies = '127.0.0.1 127.0.0.2'", "is neither an address nor a network"),
        ("trusted_proxies = '127.0.0.1:80'", "is neither an address nor a network"),
        ("trusted_proxies = '10.0.0.0/33'", "is neither an address nor a network"),
        ("trusted_proxies = '10.0.0.5/8'", "'10.0.0.5/8' is not a network; did you mean 10.0.0.0/8?"),
        ("trusted_proxies = '127.0.0.1,0.0.0.0/0'", "'0.0.0.0/0' covers every address"),
        ("trusted_proxies = '::/0'", "'::/0' covers every address"),
        ("trusted_proxies = '::ffff:10.0.0.1'", "as an IPv4 address"),
        ("trusted_proxies = ['127.0.0.1']", "must be text"),
        ("proxy_protocol = true", "edge.proxy_protocol needs edge.trusted_proxies"),
        ("proxy_protocol = 1", "edge.proxy_protocol must be true or false, not 1"),
        ("proxy_protocol = 'yes'", "edge.proxy_protocol must be true or false, not 'yes'"),
    ],
)
def test_proxies_that_cannot_be_meant_are_refused_and_the_key_is_named(
    text: str, wrong: str, tmp_path: Path
) -> None:
    with pytest.raises(SetupError) as refused:
        loaded(f"[edge]\n{text}", directory=tmp_path)
    assert wrong in str(refused.value)
