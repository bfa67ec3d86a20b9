"""Moderation through the pages: reports, the queue, acts, the log, the texts; and that acts take effect at
once.
"""

from __future__ import annotations

import html

import pytest

from stormpetrel.model.account import Role
from stormpetrel.model.page import Page
from stormpetrel.rules import moderation
from tests.forms import form_to, forms_of, send, sign_in
from tests.markup import checked

PAGES = ("/admin", "/admin/reports", "/admin/log", "/admin/texts")


@pytest.fixture
def helper(place):
    return place.person("Helper", role=Role.MODERATOR)


@pytest.fixture
def chief(place):
    return place.person("Chief", role=Role.ADMIN)


def browser_of(place, person):
    browser = place.client()
    assert sign_in(browser, person.username).status_code == 303
    return browser


def press(browser, page, action, to, **typed):
    """Send the page's form to `action`, with the button whose target is `to`."""
    form = form_to(page, action)
    assert f'formaction="{to}"' in html.unescape(page.text)
    origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
    return browser.post(
        to, data=form.fields | typed, headers={"origin": origin, "sec-fetch-site": "same-origin"}
    )


def test_a_report_goes_from_the_button_on_a_post_to_the_log(place, helper):
    nino, lomi = place.person("Nino"), place.person("Lomi")
    post = nino.post("Buy <b>my</b> boats")
    reader = browser_of(place, lomi)
    form = f"/posts/{post['id']}/report"
    assert f'href="{form}"' in reader.get(f"/@{nino.username}/{post['id']}").text
    sent = send(reader, reader.get(form), form, {"category": "spam", "comment": "Again & again"})
    assert sent.status_code == 303
    assert sent.headers["location"].startswith("/reports/")

    browser = browser_of(place, helper)
    assert "reported someone" in browser.get("/notifications").text
    queue = browser.get("/admin/reports")
    assert "Again &amp; again" in queue.text
    path = queue.text.partition(f'">@{nino.username}<')[0].rpartition('href="')[2]
    page = browser.get(path)
    assert "Buy &lt;b&gt;my&lt;/b&gt; boats" in page.text
    empty = press(browser, page, f"{path}/warn", f"{path}/hide")
    assert empty.status_code == 422
    assert place.visitor.get(f"/api/v1/statuses/{post['id']}").status_code == 200
    for verb in ("assign", "hide", "resolve"):
        assert press(browser, page, f"{path}/warn", f"{path}/{verb}", reason="It is spam").status_code == 303
    assert place.visitor.get(f"/api/v1/statuses/{post['id']}").status_code == 404
    assert f"@{nino.username}<" not in browser.get("/admin/reports").text
    log = browser.get("/admin/log").text
    assert log.index("resolve") < log.index("hide") < log.index("assign")
    told = browser_of(place, nino).get("/notifications").text
    assert "Your post was hidden; only you and the moderators can see it: It is spam" in told
    assert helper.username not in told


def test_a_page_confirms_a_report_to_its_reporter_alone(place, helper):
    nino, lomi = place.person("Nino"), place.person("Lomi")
    reader = browser_of(place, lomi)
    form = f"/people/{nino.id}/report"
    typed = {"category": "spam", "comment": "Again & again"}
    first, again = (send(reader, reader.get(form), form, typed).headers["location"] for _ in range(2))
    assert again == first
    page = reader.get(first)
    checked(page)
    for said in (f"You reported <b>@{nino.username}</b>", "<dd>It is spam</dd>", "Again &amp; again"):
        assert said in page.text
    told = helper.get("/api/v1/notifications", **{"types[]": "admin.report"})
    assert [one["account"]["id"] for one in told].count(str(lomi.id)) == 1
    blocked = press(reader, page, f"/people/{nino.id}/mute", f"/people/{nino.id}/block")
    assert blocked.headers["location"] == first
    assert lomi.get("/api/v1/accounts/relationships", id=nino.id)[0]["blocking"]
    assert f"Block @{nino.username}" not in reader.get(first).text
    for stranger in (nino, helper):
        checked(browser_of(place, stranger).get(first), 404)
    assert place.visitor.get(first).headers["location"].startswith("/auth/sign_in")


def test_nobody_but_moderators_sees_or_acts_and_texts_are_for_admins(place, helper, chief):
    nino, lomi = place.person("Nino"), place.person("Lomi")
    reported = lomi.do("/api/v1/reports", account_id=str(nino.id))["id"]
    pages = (*PAGES, f"/admin/reports/{reported}", f"/admin/people/{nino.id}")
    writes = (
        *(f"/admin/people/{nino.id}/{verb}" for verb in ("warn", "silence", "suspend")),
        f"/admin/reports/{reported}/resolve",
        "/admin/texts/add_rule",
    )
    member = browser_of(place, nino)
    csrf = form_to(member.get("/about"), "/auth/sign_out").fields["csrf"]
    for path in pages:
        assert place.visitor.get(path).headers["location"].startswith("/auth/sign_in")
        assert member.get(path).status_code == 403
    for path in writes:
        assert place.visitor.post(path).headers["location"].startswith("/auth/sign_in")
        assert member.post(path, data={"csrf": csrf, "reason": "no", "text": "no"}).status_code == 403
        assert browser_of(place, chief).post(path, data={"reason": "no"}).status_code == 403  # no csrf
    browser = browser_of(place, helper)
    assert [browser.get(path).status_code for path in pages] == [200, 200, 200, 403, 200, 200]
    assert [browser_of(place, chief).get(path).status_code for path in pages] == [200] * 6


def test_a_moderator_acts_on_an_account_from_its_profile_and_never_on_an_admin(place, helper, chief):
    nino = place.person("Nino")
    browser = browser_of(place, helper)
    path = f"/admin/people/{nino.id}"
    assert f'href="{path}"' in browser.get(f"/@{nino.username}").text
    for verb in ("silence", "unsilence", "suspend", "unsuspend"):
        page = browser.get(path)
        assert press(browser, page, f"{path}/warn", f"{path}/{verb}", reason="Because").status_code == 303
    path = f"/admin/people/{chief.id}"
    page = browser.get(path)
    assert press(browser, page, f"{path}/warn", f"{path}/suspend", reason="Because").status_code == 403


def test_a_wrong_act_is_not_found_and_leaves_no_line(place, chief):
    nino = place.person("Nino")
    browser = browser_of(place, chief)
    csrf = form_to(browser.get("/about"), "/auth/sign_out").fields["csrf"]
    for path in (
        f"/admin/people/{nino.id}/bless",
        f"/admin/people/{nino.id}/set_role",
        "/admin/posts/12345/hide",
        f"/admin/posts/{nino.post('x')['id']}/resolve",
        "/admin/reports/12345/resolve",
    ):
        assert browser.post(path, data={"csrf": csrf, "reason": "x"}).status_code == 404
    assert place.write(moderation.log, page=Page(limit=5), account_id=nino.id) == []


# Every way to read


def paths_of(author, post, tag):
    """Return the pages and API paths where visitors may see the post, then those for members only."""
    s, a = f"/api/v1/statuses/{post}", f"/api/v1/accounts/{author.id}"
    alone = (s, f"/api/v1/statuses?id[]={post}", f"/@{author.username}/{post}", f"{a}/statuses")
    alone += (f"/@{author.username}", f"/@{author.username}/with_replies", f"{a}/statuses?tagged={tag}")
    alone += (f"/api/v2/search?q=%s/@{author.username}/{post}",)
    # Request an uncached page: for visitors, the newest page may be a second old.
    below = f"?max_id={int(post) + 1}"
    lists = tuple(
        f"{path}{below}"
        for path in ("/api/v1/timelines/public", f"/api/v1/timelines/tag/{tag}", "/public", f"/tags/{tag}")
    )
    kept = ("/api/v1/favourites", "/api/v1/bookmarks")
    own = ("/api/v1/timelines/home", "/api/v1/notifications")
    return alone, lists, kept, own


@pytest.mark.parametrize(
    ("verb", "gone_for_strangers"),
    [
        ("hide", {"alone", "lists", "kept", "own"}),
        ("silence", {"lists"}),
        ("suspend", {"alone", "lists", "kept", "own"}),
    ],
)
def test_every_way_to_read_holds_to_what_was_decided_at_once(place, verb, gone_for_strangers):
    author, stranger, fan = place.person("Author"), place.person("Stranger"), place.person("Fan")
    tag = f"boats{author.id}"
    fan.follow(author)
    word = f"unmistakable{author.id}"
    post = author.post(f"{word} #{tag}")["id"]
    for reader in (stranger, fan):
        for what in ("favourite", "bookmark", "reblog"):
            reader.do(f"/api/v1/statuses/{post}/{what}")
    alone, lists, kept, own = paths_of(author, post, tag)
    groups = {"alone": alone, "lists": lists, "kept": kept, "own": own}

    def meets(http, path):
        path = path.replace("%s", place.base_url)
        answer = http.get(path)
        assert answer.status_code in (200, 404), (path, answer.status_code)
        return answer.status_code == 200 and word in answer.text

    for group in (alone, lists):
        assert all(meets(place.visitor, path) for path in group)
    kind, some_id = ("posts", post) if verb == "hide" else ("people", author.id)
    browser = browser_of(place, place.person("Chief", role=Role.ADMIN))
    csrf = form_to(browser.get("/about"), "/auth/sign_out").fields["csrf"]
    done = browser.post(f"/admin/{kind}/{some_id}/{verb}", data={"csrf": csrf, "reason": "rule 2"})
    assert done.status_code == 303
    for name, group in groups.items():
        for path in group:
            if name in ("alone", "lists"):
                assert meets(place.visitor, path) is (name not in gone_for_strangers), path
            if path.startswith("/api/") and name != "own":
                assert meets(stranger.http, path) is (name not in gone_for_strangers), path
                assert meets(fan.http, path) is (verb == "silence"), path
    # The post is also hidden behind their boosts.
    for booster in (stranger, fan):
        path = f"/api/v1/accounts/{booster.id}/statuses"
        assert meets(place.visitor, path) is (verb == "silence")
    if verb != "suspend":
        assert meets(author.http, f"/api/v1/statuses/{post}")
        assert meets(author.http, "/api/v1/timelines/home")


def test_texts_rules_and_announcements_are_read_where_they_are_looked_for(place, chief):
    browser = browser_of(place, chief)
    page = browser.get("/admin/texts")
    send(browser, page, "/admin/texts/add_rule", {"text": "Be <kind>", "hint": "To birds"})
    send(browser, page, "/admin/texts/privacy_policy", {"text": "We keep little."})
    send(browser, page, "/admin/texts/extended_description", {"text": "On a cliff."})
    send(browser, page, "/admin/texts/announce", {"text": "A storm comes"})
    send(browser, page, "/admin/texts/block_domain", {"domain": "Spam.example"})
    assert place.client().get("/api/v1/instance/privacy_policy").json()["content"] == "<p>We keep little.</p>"
    extended = place.client().get("/api/v1/instance/extended_description").json()
    assert (extended["content"], extended["updated_at"][:2]) == ("<p>On a cliff.</p>", "20")
    about = browser.get("/about").text
    for said in ("Be &lt;kind&gt;", "To birds", "We keep little.", "A storm comes"):
        assert said in about
    rules = browser.get("/api/v1/instance/rules").json()
    assert ("Be <kind>", "To birds") in [(rule["text"], rule["hint"]) for rule in rules]
    told = chief.get("/api/v1/announcements")[0]
    assert (told["content"], told["read"]) == ("<p>A storm comes</p>", False)
    chief.do(f"/api/v1/announcements/{told['id']}/dismiss")
    assert chief.get("/api/v1/announcements")[0]["read"] is True
    assert chief.http.post("/api/v1/announcements/12345/dismiss").status_code == 404
    page = browser.get("/admin/texts")
    removes = [form for form in forms_of(page) if form.action == "/admin/texts/remove_rule"]
    assert removes
    send(browser, page, "/admin/texts/remove_rule")
    send(browser, page, "/admin/texts/privacy_policy", {"text": ""})
    send(browser, page, "/admin/texts/extended_description", {"text": ""})
    send(browser, page, "/admin/texts/withdraw")
    send(browser, page, "/admin/texts/unblock_domain")
    assert place.client().get("/api/v1/instance/privacy_policy").status_code == 404
