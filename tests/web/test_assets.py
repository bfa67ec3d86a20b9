"""Assets: the style's contrast, no markup that the CSP forbids, caching, and the initials that apps show."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import stormpetrel.web.notifications
import stormpetrel.web.render
from stormpetrel.model.initial import TINTS
from stormpetrel.web.assets import ASSETS

WEB = Path(stormpetrel.web.render.__file__).parent
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
STYLE = (WEB / "assets" / "style.css").read_text(encoding="utf-8")

PAIRS = [
    ("ink", "ground"),
    ("ink", "surface"),
    ("ink", "sunk"),
    ("ink", "wash"),
    ("soft", "ground"),
    ("soft", "surface"),
    ("soft", "sunk"),
    ("soft", "wash"),
    ("accent", "ground"),
    ("accent", "surface"),
    ("accent", "sunk"),
    ("accent", "wash"),
    ("accent-deep", "ground"),
    ("accent-deep", "surface"),
    ("accent-deep", "wash"),
    ("on-accent", "accent"),
    ("on-accent", "accent-deep"),
    ("danger", "surface"),
    ("danger", "danger-wash"),
    ("on-danger", "danger"),
    ("boosted", "surface"),
    ("boosted", "wash"),
    ("starred", "surface"),
    ("starred", "sunk"),
    ("kept", "surface"),
    ("foam", "sky"),
    ("foam", "sea"),
]


def colours(block):
    return dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6})", block))


def light_and_dark():
    blocks = re.findall(r":root\s*\{(.*?)\}", STYLE, re.S)
    assert len(blocks) == 2
    light = colours(blocks[0])
    return {"light": light, "dark": light | colours(blocks[1])}


def luminance(colour):
    """Return the relative luminance. Source: WCAG 2.2, definition of relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_is_readable_on_its_ground(scheme, text, ground):
    palette = light_and_dark()[scheme]
    assert contrast(palette[text], palette[ground]) >= 4.5


def test_letters_are_readable_on_every_avatar():
    tints = re.findall(r"\.tint-(\d+) \{ background: (#[0-9a-f]{6})", STYLE)
    assert tints == [(str(position), tint) for position, tint in enumerate(TINTS)]
    assert min(contrast("#ffffff", tint) for tint in TINTS) >= 4.5


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_styles_or_scripts_of_its_own(template):
    text = template.read_text(encoding="utf-8")
    # Template tags between attributes would confuse the parser.
    tags = Tags()
    tags.feed(re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", text, flags=re.S))
    for tag, attributes in tags.found:
        assert tag != "style", template.name
        assert "style" not in attributes, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert tag != "script" or "src" in attributes
        for name in ("href", "src", "action", "formaction"):
            assert not (attributes.get(name) or "").startswith(("http:", "https:", "//", "javascript:"))
    assert "|safe" not in text.replace(" ", ""), "what is HTML says so by its type"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_attribute_of_a_template_holds_an_element(template):
    # The quotes of the element would end the attribute, and show the rest of the tag as text.
    text = template.read_text(encoding="utf-8")
    for value in re.findall(r'[a-z]="([^"]*)"', text):
        assert not re.search(r"\|\s*(when|exactly|month|note|field|avatar)\b", value), value


def test_icons_that_templates_name_exist():
    symbols = set(re.findall(r'<symbol id="([^"]+)"', (WEB / "assets" / "icons.svg").read_text()))
    named = set()
    for template in TEMPLATES:
        for inner in re.findall(r"icon\(([^)]*)\)", template.read_text(encoding="utf-8")):
            # Of 'a' if x else 'b', take both.
            named |= set(re.findall(r"'([a-z-]+)'", inner))
        named |= set(re.findall(r"go\([^,]+, '([a-z-]+)'", template.read_text(encoding="utf-8")))
    named |= {symbol for symbol, _ in stormpetrel.web.render._VISIBILITIES.values()}
    named |= {symbol for symbol, _ in stormpetrel.web.notifications._SAID.values()}
    assert {"home", "star-full", "lock", "bell"} <= named
    assert named <= symbols


def test_assets_have_addresses_that_change_with_their_content():
    paths = [asset.path for asset in ASSETS.values()]
    assert len(set(paths)) == len(paths)
    assert all(re.fullmatch(r"/assets/[a-z0-9-]+-[0-9a-f]{12}\.(css|js|svg|png)", path) for path in paths)
    assert ASSETS["sea.svg"].path.encode() in ASSETS["style.css"].body


def test_drawings_hold_no_script_and_load_nothing():
    for name, asset in ASSETS.items():
        if name.endswith(".svg"):
            text = asset.body.decode()
            assert "<script" not in text
            assert not re.search(r'(href|src)="(?!#)', text)


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


def test_assets_are_kept_for_ever_under_their_own_address(place):
    text = place.visitor.get("/").text
    found = set(re.findall(r'(?:href|src)="(/assets/[^"#]+)', text))
    kinds = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".png": "image/png",
    }
    assert {path[path.rindex(".") :] for path in found} == set(kinds)
    for path in found:
        answer = place.visitor.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kinds[path[path.rindex(".") :]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["style-000000000000.css", "%2e%2e%2fassets.py", "style.css.map", "a" * 500])
def test_other_asset_names_are_not_there(place, name):
    assert place.visitor.get(f"/assets/{name}").status_code == 404
