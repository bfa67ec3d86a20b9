"""The text of mails, and that no input of a user can change the structure of a mail."""

from __future__ import annotations

import dataclasses

import pytest

from stormpetrel.config import Config
from stormpetrel.courier.letters import write
from stormpetrel.courier.mailer import FILES_KEPT, MailFailed, mail_directory, send
from stormpetrel.model.access import secret_hash
from stormpetrel.model.mail import Letter, Notice, Purpose, link_token, new_link

SECRET = b"s" * 32
CONFIG = dataclasses.replace(
    Config(), public_url="https://birds.example", title="Birds", contact_email="a@b.example"
)


LINKED = (*Purpose, Notice.STATUS_CONFIRM, Notice.STATUS_KNOWN)


@pytest.mark.parametrize("about", [*Purpose, *Notice])
def test_every_mail_is_whole_and_names_the_place(about):
    message = write(
        Letter(about.value, "nino@example.org", "Nino", "nonce"), config=CONFIG, secret=SECRET, name="7.x"
    )
    text = message.get_content()
    assert "Hello Nino," in text
    assert "https://birds.example" in text
    assert "{" not in text
    assert message["Message-ID"] == "<7.x@birds.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    token = link_token(SECRET, "nonce")
    assert (token in text) == (about in LINKED)
    assert secret_hash(token) == new_link(SECRET, "nonce").token_hash
    assert link_token(b"t" * 32, "nonce") not in text


def test_a_title_cannot_add_a_header():
    config = dataclasses.replace(CONFIG, title='Birds"\r\nBcc: everybody@example.org\r\n\r\nBuy')
    message = write(Letter("test", "nino@example.org", ""), config=config, secret=SECRET, name="7.x")
    raw = message.as_bytes()
    assert message["Bcc"] is None
    assert b"\nBcc:" not in raw.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "a@b, c@d", "", "no address"])
def test_an_address_that_is_none_is_refused_for_good(address):
    with pytest.raises(MailFailed) as failed:
        write(Letter("test", address, ""), config=CONFIG, secret=SECRET, name="7.x")
    assert failed.value.for_good


def test_files_are_kept_up_to_a_number_and_written_again_in_place(tmp_path):
    config = dataclasses.replace(CONFIG, data_dir=tmp_path)
    message = write(Letter("test", "nino@example.org", ""), config=config, secret=SECRET, name="7.x")
    directory = mail_directory(config)
    directory.mkdir()
    for number in range(FILES_KEPT):
        (directory / f"{number:06}.eml").touch()
    for _ in range(2):
        send(config, message, name="999999")
    kept = sorted(path.name for path in directory.iterdir())
    assert len(kept) == FILES_KEPT
    assert kept[0] == "000001.eml"
    assert kept[-1] == "999999.eml"
