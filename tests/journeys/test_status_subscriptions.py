"""From the form of a subscriber to the mail about an incident, and out again, on a running instance."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
from pathlib import Path

import pytest

from tests.forms import send
from tests.mail_sink import mail_settings, mail_sink
from tests.waiting import eventually

FORM = "/status/subscribe"


@pytest.fixture(scope="module")
def sink():
    with mail_sink() as running:
        yield running


@pytest.fixture(scope="module")
def place_settings(sink):
    return mail_settings(sink) | {"web_workers": 1}


def new_address():
    return f"{secrets.token_hex(4)}@example.org"


def link_in(mail, place):
    (link,) = re.findall(rf"{place.base_url}(/status/\S+token=[0-9a-f]{{48}})", mail.get_content())
    return link


def subscribed(place, sink, address, *channels):
    """Subscribe as a person does, with a browser and a mailbox. Return the link of the subscription."""
    with place.client() as browser:
        typed = {"target": address} | {f"channel_{name}": "on" for name in channels}
        answer = send(browser, browser.get(FORM), FORM, typed)
        assert (answer.status_code, answer.headers["location"]) == (303, "/status/subscribed")
        link = link_in(sink.next_to(address), place)
        page = browser.get(link)
        assert "Yes, send updates" in page.text
        done = send(browser, page, "/status/subscription")
        assert done.headers["location"] == f"{link}&done=saved"
        assert "Your subscription" in browser.get(done.headers["location"]).text
    return link


def test_a_subscriber_of_one_channel_gets_its_incident_and_leaves(place, sink):
    ann = new_address()
    link = subscribed(place, sink, ann, "apps")
    run = place.instance.run_cli
    run("incident", "start", "Pages are slow", "--text", "Not for Ann.", "--channel", "web")
    run("incident", "start", "Apps get errors", "--text", "We **look** into it.", "--channel", "apps")
    mail = sink.next_to(ann, 2)
    assert mail["Subject"] == "Investigating: Apps get errors · Stormpetrel"
    assert "We **look** into it." in mail.get_content()
    assert "Services: Apps" in mail.get_content()
    assert link_in(mail, place) == link
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    leave = mail["List-Unsubscribe"].strip("<>")
    assert leave == f"{place.base_url}/status/leave?token={link.partition('=')[2]}"
    with place.client() as program:
        assert program.post(leave, data={"List-Unsubscribe": "One-Click"}).status_code == 200
        assert program.get(link).status_code == 404
    assert len(sink.to(ann)) == 2


def pid_of(place, name):
    """Return the pid of a role's process."""
    children = Path(f"/proc/{place.instance.pid}/task/{place.instance.pid}/children").read_text().split()
    names = {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in children}
    return names[name]


@pytest.mark.parametrize("role", ["petrel-watch", "petrel-courier"])
def test_a_role_that_is_killed_right_after_an_update_loses_no_mail(place, sink, role):
    ann = new_address()
    subscribed(place, sink, ann, "media")
    for number in (2, 3):
        name = f"Uploads fail {number}"
        place.instance.run_cli("incident", "start", name, "--text", "We look into it.", "--channel", "media")
        os.kill(pid_of(place, role), signal.SIGKILL)
        assert name in sink.next_to(ann, number)["Subject"]
        eventually(lambda: pid_of(place, role), bool)
    subjects = [mail["Subject"] for mail in sink.to(ann)[1:]]
    ids = {mail["Message-ID"] for mail in sink.to(ann)[1:]}
    assert len(ids) == 2
    # The mail server may have accepted a mail that the courier could not note any more.
    assert 2 <= len(subjects) <= (4 if role == "petrel-courier" else 2)


def test_maintenance_is_announced_begun_and_ended_by_mail(place, sink):
    ann = new_address()
    subscribed(place, sink, ann)
    run = place.instance.run_cli
    words = ("--text", "Uploads pause.", "--in", "2h", "--for", "30m", "--channel", "media")
    planned = json.loads(run("maintenance", "schedule", "New disks", *words, "--json").stdout)
    assert sink.next_to(ann, 2)["Subject"] == "Scheduled: New disks · Stormpetrel"
    run("maintenance", "start", planned["id"])
    assert sink.next_to(ann, 3)["Subject"] == "In progress: New disks · Stormpetrel"
    run("maintenance", "end", planned["id"], "--text", "The new disks are in use.")
    mail = sink.next_to(ann, 4)
    assert mail["Subject"] == "Completed: New disks · Stormpetrel"
    assert "The new disks are in use." in mail.get_content()
    threads = {one["References"] for one in sink.to(ann)[1:]}
    assert len(threads) == 1
