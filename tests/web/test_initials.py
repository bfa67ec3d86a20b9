"""Accounts without an avatar in apps: the web's initial and colour, at an address that never changes."""

from __future__ import annotations

import io
import re

from PIL import Image

from stormpetrel.model.initial import TINTS


def test_an_app_shows_the_colour_and_the_letter_of_the_web(place):
    ann = place.person("Zora")
    said = ann.get("/api/v1/accounts/verify_credentials")
    assert said["avatar"] == said["avatar_static"]
    page = place.visitor.get(f"/@{ann.username}").text
    colour, letter = re.search(r'class="avatar tint-(\d+) large" aria-hidden="true">(.)<', page).groups()
    assert said["avatar"] == f"{place.base_url}/assets/initial-{colour}-{letter}.png"
    for _ in range(2):
        answer = place.visitor.get(said["avatar"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        picture = Image.open(io.BytesIO(answer.content))
        assert (picture.format, picture.size) == ("PNG", (400, 400))
        assert picture.convert("RGB").getpixel((0, 0)) == tuple(bytes.fromhex(TINTS[int(colour)][1:]))


def test_another_name_is_another_picture_and_a_script_without_one_has_the_colour(place):
    ann = place.person("Ann")
    shown = []
    for name in ("Émile", "ნინო"):
        answer = ann.http.patch("/api/v1/accounts/update_credentials", json={"display_name": name})
        shown.append(answer.json()["avatar"].rpartition("/")[2])
        assert place.visitor.get(answer.json()["avatar"]).status_code == 200
    assert re.fullmatch(r"initial-\d+-E\.png", shown[0])
    assert shown[1] == shown[0].replace("-E", "")


def test_there_are_no_pictures_under_other_names(place):
    for name in ("initial-12-A.png", "initial-3-a.png", "initial-3-AA.png", "initial-3-%C3%89.png"):
        assert place.visitor.get(f"/assets/{name}").status_code == 404, name
