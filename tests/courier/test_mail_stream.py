"""Many mails over one connection: pipelined or not, with refused recipients, and with servers that hang up."""

from __future__ import annotations

import dataclasses

import pytest

from stormpetrel.config import Config, MailConfig
from stormpetrel.courier.mail_stream import MailStream, OutgoingMail
from stormpetrel.courier.mailer import MailFailed, mail_directory
from tests.mail_sink import mail_sink
from tests.ports import reserved_ports


@pytest.fixture
def sink():
    with mail_sink() as running:
        yield running


@pytest.fixture
def stream(sink, tmp_path):
    made = MailStream(config(sink.port, tmp_path))
    yield made
    made.close()


def config(port, tmp_path, **mail):
    settings = {"transport": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "timeout_s": 2.0}
    return dataclasses.replace(Config(), data_dir=tmp_path, mail=MailConfig(**(settings | mail)))


def mails(count, first=0):
    return [
        OutgoingMail(
            f"n{number}",
            f"a{number}@example.org",
            b"Subject: x\r\n\r\n.dot\r\n..dots\r\nNumber %d\r\n" % number,
        )
        for number in range(first, first + count)
    ]


@pytest.mark.parametrize("is_pipelining", [True, False])
def test_each_mail_arrives_whole_over_one_connection(sink, stream, is_pipelining):
    sink.is_pipelining = is_pipelining
    assert stream.send(mails(20)) == [None] * 20
    assert stream.send(mails(5, 20)) == [None] * 5
    assert [(address, data) for address, data in sink.mails] == [
        (one.recipient, one.data) for one in mails(25)
    ]
    assert sink.connections == 1


@pytest.mark.parametrize("is_pipelining", [True, False])
def test_a_refused_recipient_does_not_stop_the_others(sink, stream, is_pipelining):
    sink.is_pipelining = is_pipelining
    answers = {"a1@example.org": b"550 no such user", "a3@example.org": b"451 later"}
    sink.verdict = lambda address: answers.get(address, b"250 fine")
    outcomes = stream.send(mails(5))
    assert [outcome is None for outcome in outcomes] == [True, False, True, False, True]
    assert [one.for_good for one in outcomes if one] == [True, False]
    assert "no such user" in outcomes[1].safe_text
    assert [address for address, _ in sink.mails] == ["a0@example.org", "a2@example.org", "a4@example.org"]


def test_a_server_that_takes_few_mails_on_a_connection_gets_another_connection(sink, stream):
    sink.most = 3
    sent, left = 0, mails(10)
    while left:
        outcomes = stream.send(left)
        assert outcomes
        assert set(outcomes) == {None}
        sent, left = sent + len(outcomes), left[len(outcomes) :]
    assert [address for address, _ in sink.mails] == [one.recipient for one in mails(10)]
    assert sink.connections == 4


def test_a_server_that_is_away_fails_all_of_them(tmp_path):
    with reserved_ports(1) as (port,):
        stream = MailStream(config(port, tmp_path))
        with pytest.raises(MailFailed, match=f"127.0.0.1:{port}"):
            stream.send(mails(2))
        stream.close()


def test_mails_go_to_files_where_there_is_no_server(tmp_path):
    settings = config(1, tmp_path, transport="file")
    assert MailStream(settings).send(mails(2)) == [None, None]
    assert sorted(path.name for path in mail_directory(settings).iterdir()) == ["n0.eml", "n1.eml"]
