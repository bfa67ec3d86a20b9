"""A whole instance, started by `stormpetrel serve`, behind nginx and HAProxy: posts, uploads, streams."""

from __future__ import annotations

import json
import os

import httpx
import pytest

from stormpetrel.config_loader import settings_of_domain
from tests.deploy.fronts import NAME, PROXIES, STATUS_NAME, a_front
from tests.deploy.test_proxies import KEY, TRUST, asked
from tests.instance import running_instance
from tests.media_files import png
from tests.people import place_of

CEILING = 40


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_members_post_upload_and_listen_and_visitors_have_ceilings_of_their_own(name, tmp_path, sqlite_url):
    settings = {
        "public_url": f"https://{NAME}",
        "shield_requests_per_5min": CEILING,
        "web_workers": 1,
        **{f"edge_{key}": value for key, value in TRUST[name].items()},
    }
    with (
        running_instance(tmp_path / "place", sqlite_url, **settings) as instance,
        place_of(instance, sqlite_url) as place,
        a_front(name, tmp_path / name, edge_port=int(instance.base_url.rpartition(":")[2])) as front,
    ):

        def client(address: str, **headers: str) -> httpx.Client:
            way = httpx.HTTPTransport(verify=front.trust, local_address=address)
            return httpx.Client(
                base_url=f"https://127.0.0.1:{front.port}",
                headers={"Host": NAME, **headers},
                transport=way,
                timeout=20,
            )

        person = place.person()
        bearer = {"Authorization": f"Bearer {person.token}"}
        with (
            client("127.0.0.81", **bearer) as member,
            front.connect(source="127.0.0.82") as listener,
            front.connect(source="127.0.0.83") as socket,
        ):
            listener.send(asked("/api/v1/streaming/user", f"Authorization: Bearer {person.token}"))
            assert listener.answer(to_head=True).headers["content-type"].startswith("text/event-stream")
            answer = socket.ask(asked(f"/api/v1/streaming?stream=user&access_token={person.token}", *KEY))
            assert answer.status == 101
            picture = png((1200, 900)) + os.urandom(3_000_000)
            media = member.post("/api/v2/media", files={"file": ("bird.png", picture, "image/png")})
            assert media.status_code in (200, 202), media.text
            posted = member.post(
                "/api/v1/statuses", json={"status": "through", "media_ids": [media.json()["id"]]}
            )
            assert posted.status_code == 200, posted.text
            for one in (listener, socket):
                while posted.json()["id"].encode() not in one.kept:
                    assert one.more()
            assert posted.json()["url"].startswith(f"https://{NAME}/")
        with client("127.0.0.84") as one, client("127.0.0.85") as other:
            # Each address has its own quota. The claimed address is ignored.
            forged = {"X-Forwarded-For": "198.51.100.9"}
            path = "/api/v1/accounts/verify_credentials"
            statuses = [one.get(path, headers=forged).status_code for _ in range(CEILING + 2)]
            assert statuses == [401] * CEILING + [429] * 2
            answer = other.get(path, headers=forged)
            assert answer.status_code == 401
            assert answer.headers["x-ratelimit-remaining"] == str(CEILING - 1)
            refused = one.get(path)
            assert int(refused.headers["retry-after"]) >= 1
            assert "error" in json.loads(refused.text)


def of(name: str, *lines: str, method: str = "GET", path: str = "/") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {name}", *lines, "", ""]).encode()


@pytest.mark.parametrize("name", list(PROXIES))
def test_the_status_page_has_a_name_of_its_own_to_which_refusals_point(name, tmp_path, sqlite_url):
    settings = {key.replace(".", "_"): value for key, value in settings_of_domain(NAME).items()}
    settings |= {f"edge_{key}": value for key, value in TRUST[name].items()}
    with (
        running_instance(
            tmp_path / "place", sqlite_url, **settings, web_workers=1, shield_requests_per_5min=1
        ) as instance,
        a_front(
            name,
            tmp_path / name,
            edge_port=int(instance.base_url.rpartition(":")[2]),
            status_port=int(instance.status_url.rpartition(":")[2]),
        ) as front,
    ):
        with front.connect(source="127.0.0.91") as visitor:
            answers = [
                visitor.ask(of(NAME, "Accept: text/html", path=f"/missing-{number}")) for number in "12"
            ]
            assert [answer.status for answer in answers] == [404, 429]
            assert f'<a href="https://{STATUS_NAME}">status page</a>'.encode() in answers[1].body
        with front.connect(source="127.0.0.91") as visitor:
            short = visitor.ask(of(NAME, path="/status"))
            assert (short.status, short.headers["location"]) == (302, f"https://{STATUS_NAME}/")
        with front.connect(source="127.0.0.91", name=STATUS_NAME) as visitor:
            page = visitor.ask(of(STATUS_NAME))
            assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert f'<h1>Status of <a href="https://{NAME}">'.encode() in page.body
            assert "default-src 'none'" in page.headers["content-security-policy"]
            for path in ("/api/v2/summary.json", "/history", "/history.atom", "/badge.svg", "/badge/web.svg"):
                assert visitor.ask(of(STATUS_NAME, path=path)).status == 200, path
            for path in ("/metrics", "/health", "/about", "//", "/%2e/metrics"):
                assert visitor.ask(of(STATUS_NAME, path=path)).status == 404, path
        with front.connect(source="127.0.0.91", name=STATUS_NAME) as visitor:
            assert visitor.ask(of(STATUS_NAME, "Content-Length: 0", method="POST")).status in (403, 404)
        # The site's own name still serves the site.
        with front.connect(source="127.0.0.92") as visitor:
            assert b"<h1>Status of " not in visitor.ask(of(NAME, "Accept: text/html")).body
