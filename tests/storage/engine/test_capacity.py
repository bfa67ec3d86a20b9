"""A database with too few connections: requests are refused at once, and no client waits in silence."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx

from stormpetrel.storage.engine.capacity import connections_wanted
from tests.conftest import postgresql_execute
from tests.instance import prepared_instance

LOOKS = 24


def test_workers_that_get_no_connection_refuse_at_once_and_serve_when_there_is_room(
    postgresql_url: str, postgresql_admin, tmp_path: Path
) -> None:
    role = f"few_{secrets.token_hex(4)}"
    admin = postgresql_admin("postgres")
    name = urlsplit(postgresql_url).path[1:]
    postgresql_execute(
        admin,
        f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'few'",
        f"ALTER DATABASE {name} OWNER TO {role}",
    )
    parts = urlsplit(postgresql_url)
    url = urlunsplit(parts._replace(netloc=f"{role}:few@{parts.hostname}:{parts.port}"))
    try:
        with prepared_instance(tmp_path, url, web_workers=2) as instance:
            # A connection limit does not apply to a superuser.
            postgresql_execute(admin, f"ALTER ROLE {role} NOSUPERUSER CONNECTION LIMIT 5")
            postgresql_execute(postgresql_url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
            instance.start("--role", "web")
            seen = {_status(instance.base_url) for _ in range(LOOKS)}
            assert 503 in seen
            assert seen <= {200, 503}
            assert "refusing requests until it can be" in instance.log
            postgresql_execute(admin, f"ALTER ROLE {role} CONNECTION LIMIT -1")
            for _ in range(200):
                if {_status(instance.base_url) for _ in range(LOOKS)} == {200}:
                    break
            assert {_status(instance.base_url) for _ in range(LOOKS)} == {200}
            instance.stop()
    finally:
        postgresql_execute(admin, f"ALTER DATABASE {name} OWNER TO postgres")
        postgresql_execute(postgresql_url, f"DROP OWNED BY {role}")
        postgresql_execute(admin, f"DROP ROLE {role}")


def _status(base_url: str) -> int:
    answer = httpx.get(
        f"{base_url}/api/v1/timelines/public?x={secrets.token_hex(4)}", timeout=10, trust_env=False
    )
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) > 0
        assert "is unreachable" in json.loads(answer.text)["error"]
        assert httpx.get(f"{base_url}/health", timeout=10, trust_env=False).json() == {"status": "ok"}
    return answer.status_code


def test_four_connections_are_wanted_for_each_worker_and_four_besides() -> None:
    assert connections_wanted(2) == 12
