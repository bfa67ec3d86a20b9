"""The configuration of a proxy as it is shipped, for a trial on loopback: by the drill and by the tests.

Only ports, certificate, temporary directories, users, logs and the numbers of connections differ from deploy/.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from stormpetrel.proxies.site import TEMPLATES, ProxiedSite, render
from stormpetrel.proxies.versions import program

_FILES = MappingProxyType({**TEMPLATES, "nginx": "site.conf"})


@dataclass(frozen=True, slots=True)
class ProxyTrial:
    """Where a trial runs. `pem`: the certificate and its key in one file. `connections`: at most so many clients."""

    directory: Path
    site: ProxiedSite
    https_port: int
    plain_port: int
    pem: Path
    connections: int = 512

    def file(self, proxy: str) -> Path:
        """Return the path of the site's configuration."""
        return self.directory / _FILES[proxy]

    def command(self, proxy: str) -> list[str]:
        """Write the files of `proxy`, which must be installed, and return the command that runs it in front."""
        text = render(proxy, self.site)
        path = program(proxy)
        assert path is not None, f"{proxy} is not installed"
        return [path, *_PREPARE[proxy](self, text)]


def _nginx(trial: ProxyTrial, text: str) -> list[str]:
    directory = trial.directory
    text = _replaced(
        text,
        (r"^ *listen \[::\]:.*\n", ""),
        (r"listen 80;", f"listen 127.0.0.1:{trial.plain_port};"),
        (r"listen 443 ", f"listen 127.0.0.1:{trial.https_port} "),
        (r"/etc/letsencrypt/live/[^/]+/\w+\.pem", f"{trial.pem}"),
    )
    trial.file("nginx").write_text(text, encoding="utf-8")
    temporary = "".join(
        f"{kind}_temp_path {directory / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Each client takes two connections of nginx: its own, and one to Stormpetrel.
    (directory / "nginx.conf").write_text(
        f"daemon off;\npid {directory / 'pid'};\nerror_log stderr;\nworker_processes auto;\n"
        f"worker_rlimit_nofile {2 * trial.connections + 64};\n"
        f"events {{ worker_connections {2 * trial.connections}; }}\n"
        f"http {{\n{temporary}include {trial.file('nginx')};\n}}\n",
        encoding="utf-8",
    )
    # Without -e, nginx first tries its own log in /var, which only root may write.
    return ["-p", f"{directory}", "-c", f"{directory / 'nginx.conf'}", "-e", "stderr"]


def _haproxy(trial: ProxyTrial, text: str) -> list[str]:
    changes = [
        (r"^ *log /dev/log .*\n", ""),
        (r"bind :80$", f"bind 127.0.0.1:{trial.plain_port}"),
        (r"bind :443 ", f"bind 127.0.0.1:{trial.https_port} "),
        (r"/etc/haproxy/\S+\.pem", f"{trial.pem}"),
        (r"^ *maxconn .*\n", f"    maxconn {trial.connections}\n"),
    ]
    if os.geteuid() != 0:
        changes.append((r"^ *(user|group) .*\n", ""))
    trial.file("haproxy").write_text(_replaced(text, *changes), encoding="utf-8")
    # -dW makes HAProxy exit on a warning about the configuration.
    return ["-dW", "-db", "-f", f"{trial.file('haproxy')}"]


def _caddy(trial: ProxyTrial, text: str) -> list[str]:
    names = "|".join(map(re.escape, (trial.site.domain, trial.site.status_domain)))
    text = _replaced(
        text,
        (
            r"\A((?:#.*\n)*)\{\n",
            rf"\1{{\n\tadmin off\n\thttp_port {trial.plain_port}\n\thttps_port {trial.https_port}\n",
        ),
        (rf"^({names}) \{{\n", rf"\1 {{\n\ttls {trial.pem} {trial.pem}\n\tbind 127.0.0.1\n"),
    )
    trial.file("caddy").write_text(text, encoding="utf-8")
    return ["run", "--adapter", "caddyfile", "--config", f"{trial.file('caddy')}"]


_PREPARE: MappingProxyType[str, Callable[[ProxyTrial, str], list[str]]] = MappingProxyType(
    {"nginx": _nginx, "haproxy": _haproxy, "caddy": _caddy}
)


def environment(directory: Path) -> dict[str, str]:
    """Return this process's environment, with `directory` as the home in which Caddy keeps its files."""
    return os.environ | dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), f"{directory}")


def _replaced(text: str, *changes: tuple[str, str]) -> str:
    """Return `text` with each pattern replaced. Every pattern must occur."""
    for pattern, by in changes:
        text, count = re.subn(pattern, by, text, flags=re.MULTILINE)
        assert count, f"{pattern} is not in the configuration"
    return text
