"""`sms`: phones, texts and routes. Every command works while the sms role runs, and takes effect within a second."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, add_command, add_group, near_or_all, whole_number
from stormpetrel.cli.sms_log import add_log
from stormpetrel.cli.sms_numbers import add_phone, cleaned, number_of
from stormpetrel.cli.store import change, now_ms, open_store
from stormpetrel.cli.times import clock_time
from stormpetrel.cli.users import user_named
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    from stormpetrel.config import Config
    from stormpetrel.model.moderation import Act
    from stormpetrel.model.phone import Phone, PhoneKeys
    from stormpetrel.storage.engine.connection import Connection

MOST_SEGMENTS = 10
EXPIRES_MS = 3 * 86_400_000
MOST_ID_DIGITS = 18
LONG_MS = 86_400_000


def add_commands(commands: Commands[Any]) -> None:
    """Add `sms` with its subcommands."""
    group = add_group(commands, "sms", about="Manages phones, texts and routes of the sms role.")
    link = add_command(
        group,
        "link",
        _link,
        about="Links a phone to an account without a code. The link is in the audit log.",
        example="stormpetrel sms link Nino +995599123456",
    )
    link.add_argument("name", metavar="NAME", nargs="?", help="the username")
    link.add_argument("number", metavar="NUMBER", nargs="?", help="the number, with + and the country code")
    link.add_argument(
        "--pin", metavar="PIN", help="4 to 8 digits that must stand before posts on low-trust routes"
    )
    link.add_argument("--route", metavar="ROUTE", help="the route for texts to it (default: the first one)")
    link.add_argument(
        "--from", metavar="FILE", dest="file", help='a file with lines "NAME NUMBER"; - for standard input'
    )
    link.add_argument("--json", action="store_true", help="as JSON")
    unlink = add_command(
        group, "unlink", _unlink, about="Unlinks a phone; its settings and the texts that wait for it go with it.",
        example="stormpetrel sms unlink +995599123456",
    )  # fmt: skip
    add_phone(unlink)
    unlock = add_command(
        group, "unlock", _unlock, about="Allows posting again after LOCK or wrong PINs.",
        example="stormpetrel sms unlock +995599123456",
    )  # fmt: skip
    add_phone(unlock)
    code = add_command(
        group, "code", _code, about="Makes a code, as the web does: the phone that sends GO and the code is linked.",
        example="stormpetrel sms code Nino",
    )  # fmt: skip
    code.add_argument("name", metavar="NAME", help="the username")
    code.add_argument("--json", action="store_true", help="as JSON")
    show = add_command(
        group, "show", _show, about="Shows a phone: its account, its settings and the number of waiting texts.",
        example="stormpetrel sms show +995599123456",
    )  # fmt: skip
    add_phone(show)
    send = add_command(
        group, "send", _send, about=f"Sends a text, never cut, in up to {MOST_SEGMENTS} segments.",
        example='stormpetrel sms send +995599123456 "The water is back."',
    )  # fmt: skip
    send.add_argument("number", metavar="NUMBER", nargs="?", help="the number, with + and the country code")
    send.add_argument("text", metavar="TEXT", nargs="?", help="the text")
    send.add_argument(
        "--lane", type=whole_number(1, 4), default=2, metavar="N", help="the lane, 1 to 4 (default 2)"
    )
    send.add_argument(
        "--route", metavar="ROUTE", help="the route (default: the phone's own, or the first one)"
    )
    send.add_argument(
        "--from",
        metavar="FILE",
        dest="file",
        help='a file with JSON lines {"to", "text"}; - for standard input',
    )
    send.add_argument("--json", action="store_true", help="as JSON")
    add_log(group)
    status = add_command(
        group, "status", _status, about="Shows routes, waiting texts by lane, and money.",
        example="stormpetrel sms status --json",
    )  # fmt: skip
    status.add_argument("--json", action="store_true", help="as JSON")
    for name, about in (
        ("pause", "Stops sending on a route; waiting texts stay."),
        ("resume", "Sends again on a route."),
    ):
        command = add_command(group, name, _pause, about=about, example=f"stormpetrel sms {name} carrier")
        command.add_argument("route", metavar="ROUTE", help="the name of the route")
        command.add_argument("--json", action="store_true", help="as JSON")
        command.set_defaults(is_paused=name == "pause")
    replay = add_command(
        group, "replay", _replay, about="Processes a message again that had no effect, or sends a failed text again.",
        example="stormpetrel sms replay i42",
    )  # fmt: skip
    replay.add_argument("id", metavar="ID", help="the id in the log, such as i42 or o17")
    replay.add_argument("--json", action="store_true", help="as JSON")


def _config(args: argparse.Namespace) -> Config:
    from stormpetrel.config_loader import load

    return load(args.config).config


def _instance(args: argparse.Namespace) -> Config:
    """Return the configuration. Raise SetupError if there is no instance: the spool must not be created then."""
    from stormpetrel.process import secret

    config = _config(args)
    secret.load(config)
    return config


def _keys(config: Config) -> PhoneKeys:
    from stormpetrel.model.phone import PhoneKeys
    from stormpetrel.process import secret

    return PhoneKeys(secret.load(config))


def _route(config: Config, name: str | None) -> str:
    """Return the route's name, by default the first one. Raise SetupError for an unknown one."""
    names = [route.name for route in config.sms.routes if route.enabled]
    if name is None:
        return names[0] if names else ""
    if name not in names:
        raise SetupError(f"there is no route {name!r}{near_or_all(name, names)}")
    return name


def _lines(path: str) -> list[str]:
    """Return the lines of a file that are not empty; "-" reads standard input."""
    if path == "-":
        text = sys.stdin.read()
    else:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    return [line for line in text.splitlines() if line.strip()]


def _link(args: argparse.Namespace) -> int:
    from stormpetrel.model.moderation import Act
    from stormpetrel.model.phone import clean_pin
    from stormpetrel.rules import phones
    from stormpetrel.sms.numbers import zone_of

    config = _config(args)
    pairs = [(args.name, args.number)]
    if args.file is not None:
        split = [line.split() for line in _lines(args.file)]
        wrong = next((place for place, words in enumerate(split, start=1) if len(words) != 2), None)
        if wrong is not None:
            raise SetupError(f"{args.file}, line {wrong}: a line is NAME NUMBER")
        pairs = [(words[0], words[1]) for words in split]
    elif args.name is None or args.number is None:
        raise SetupError("sms link needs NAME and NUMBER, or --from FILE")
    if args.pin is not None and clean_pin(args.pin) is None:
        raise SetupError("--pin must have 4 to 8 digits")
    keys, route = _keys(config), _route(config, args.route)
    numbers = [(name, cleaned(number)) for name, number in pairs]
    with open_store(config.database_url) as connection:
        for name, number in numbers:
            with change(connection) as at_ms:
                owner = user_named(connection, name)
                phone = phones.link(
                    connection, account_id=owner.account_id, number=number, route=route, keys=keys,
                    zone=zone_of(number), language=owner.locale, now_ms=at_ms, pin=args.pin, by_operator=True,
                )  # fmt: skip
                _note(connection, Act.LINK_PHONE, phone, number, at_ms)
    if args.json:
        print_json({"linked": len(numbers)})
    elif len(numbers) == 1:
        print(f"linked 1 phone; its quiet hours and digest are in the time of {phone.zone}")
    else:
        print(f"linked {len(numbers)} phones")
    return 0


def _found(connection: Connection, config: Config, named: str) -> tuple[Phone, str]:
    """Return the phone that an argument names, and its number. Raise SetupError."""
    from stormpetrel.rules import phones

    keys = _keys(config)
    number = number_of(connection, named, keys=keys)
    phone = phones.phone_with(connection, number=number, keys=keys)
    if phone is None:
        raise SetupError(f"{named} is not linked")
    return phone, number


def _note(connection: Connection, act: Act, phone: Phone, number: str, at_ms: int) -> None:
    """Add a line about a phone to the audit log."""
    from stormpetrel.model.moderation import COMMAND_LINE
    from stormpetrel.rules import moderation
    from stormpetrel.sms.numbers import masked
    from stormpetrel.storage import accounts as stored_accounts

    owner = phone.account_id
    moderation.note(
        connection, COMMAND_LINE, act, reason=f"phone {masked(number)}", now_ms=at_ms,
        account=None if owner is None else stored_accounts.account(connection, account_id=owner),
    )  # fmt: skip


def _unlink(args: argparse.Namespace) -> int:
    from stormpetrel.model.moderation import Act
    from stormpetrel.rules import phones

    config = _config(args)
    with open_store(config.database_url) as connection, change(connection) as at_ms:
        phone, number = _found(connection, config, args.phone)
        phones.unlink(connection, phone=phone, now_ms=at_ms)
        _note(connection, Act.UNLINK_PHONE, phone, number, at_ms)
    _say(args, {"unlinked": 1}, f"{number} is not linked any more")
    return 0


def _unlock(args: argparse.Namespace) -> int:
    from stormpetrel.model.moderation import Act
    from stormpetrel.rules import phones

    config = _config(args)
    with open_store(config.database_url) as connection, change(connection) as at_ms:
        phone, number = _found(connection, config, args.phone)
        phone = phones.unlock(connection, phone=phone, now_ms=at_ms)
        _note(connection, Act.UNLOCK_PHONE, phone, number, at_ms)
    _say(args, {"unlocked": 1}, f"{number} may post again")
    return 0


def _say(args: argparse.Namespace, value: dict[str, Any], line: str) -> None:
    if args.json:
        print_json(value)
    else:
        print(line)


def _code(args: argparse.Namespace) -> int:
    import secrets

    from stormpetrel.model.phone import CODE_DIGITS, CODE_MS
    from stormpetrel.rules import phones

    config = _config(args)
    with open_store(config.database_url) as connection, change(connection) as at_ms:
        owner = user_named(connection, args.name)
        code = phones.new_code(
            connection, account_id=owner.account_id, keys=_keys(config), now_ms=at_ms,
            draw=secrets.randbelow(10**CODE_DIGITS),
        )  # fmt: skip
    to = next((route.sender for route in config.sms.routes if route.enabled), "")
    value = {"code": code, "expires_in": CODE_MS // 1000, "to": to}
    _say(
        args,
        value,
        f"text GO {code} to {to or 'the number of your route'} before {clock_time((at_ms + CODE_MS) / 1000)}, "
        f"in {CODE_MS // 60_000} minutes",
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    from stormpetrel.rules import accounts, phones
    from stormpetrel.storage import phone_queue
    from stormpetrel.storage.sms_spool import outbox
    from stormpetrel.storage.sms_spool.file import open_spool

    config = _config(args)
    keys = _keys(config)
    with open_store(config.database_url) as connection:
        number = number_of(connection, args.phone, keys=keys)
        phone = phones.phone_with(connection, number=number, keys=keys)
        name = None
        if phone is not None and phone.account_id is not None:
            found = accounts.known_user(connection, account_id=phone.account_id)
            name = found.username if found is not None else None
        waiting = 0 if phone is None else phone_queue.waiting(connection, phone_id=phone.id)
    with open_spool(config.data_dir) as spool:
        waiting += outbox.waiting_of(spool.raw, number=number)
        sent_today = outbox.deliveries(spool.raw, number=number, now_ms=now_ms())[1]
    value = {
        "number": number,
        "account": name,
        "linked": phone is not None and phone.account_id is not None,
        "stopped": phone is not None and phone.stopped,
        "posting": phone is not None and phone.posts,
        "locked": phone is not None and phone.pin_locked_until_ms > now_ms(),
        "pin": phone is not None and phone.pin_hash is not None,
        "quiet": (phone.quiet or None) if phone is not None else None,
        "digest": (phone.digest or None) if phone is not None else None,
        "language": phone.language if phone is not None else None,
        "waiting": waiting,
        "sent_today": sent_today,
    }
    if args.json:
        print_json(value)
    else:
        print_table(("KEY", "VALUE"), [(key, _shown(one)) for key, one in value.items()])
    return 0


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def _send(args: argparse.Namespace) -> int:
    import json

    config = _config(args)
    if args.file is not None:
        texts = []
        for place, line in enumerate(_lines(args.file), start=1):
            try:
                record = json.loads(line)
                number, text = record["to"], record["text"]
                if not isinstance(number, str) or not isinstance(text, str):
                    raise TypeError
                texts.append((cleaned(number), text))
            except (ValueError, KeyError, TypeError):
                raise SetupError(
                    f'{args.file}, line {place}: a line is {{"to": NUMBER, "text": TEXT}}'
                ) from None
    elif args.number is None or args.text is None:
        raise SetupError("sms send needs NUMBER and TEXT, or --from FILE")
    else:
        texts = [(cleaned(args.number), args.text)]
    # A terminal or JSON can write half of a surrogate pair, which is no text.
    texts = [(number, text.encode("utf-8", "replace").decode()) for number, text in texts]
    route = _route(config, args.route)
    if not route:
        raise SetupError("there is no route: add a section [sms.route.NAME] (see docs/sms.md)")
    ids = _queue(config, texts, lane=args.lane, route=route, is_route_given=args.route is not None)
    if args.json:
        print_json({"ids": ids})
    else:
        for (number, _), message_id in zip(texts, ids, strict=True):
            print(f"{message_id}  {number}" if message_id else f"-  {number} has sent STOP")
    return 1 if args.file is None and ids == [None] else 0


def _queue(
    config: Config, texts: list[tuple[str, str]], *, lane: int, route: str, is_route_given: bool
) -> list[str | None]:
    """Queue texts and return their ids, None for numbers that have sent STOP."""
    import secrets

    from stormpetrel.rules import phones
    from stormpetrel.sms.split import split
    from stormpetrel.storage.sms_spool import outbox
    from stormpetrel.storage.sms_spool.file import open_spool

    lengths = [len(split(text)) for _, text in texts]
    if any(length > MOST_SEGMENTS for length in lengths):
        raise SetupError(f"a text has more than {MOST_SEGMENTS} segments")
    if any(not text.strip() for _, text in texts):
        raise SetupError("a text is empty")
    keys = _keys(config)
    names = {one.name for one in config.sms.routes if one.enabled}
    batch = secrets.token_hex(8)
    ids: list[str | None] = []
    with open_store(config.database_url) as connection, open_spool(config.data_dir) as spool:
        found = {number: phones.phone_with(connection, number=number, keys=keys) for number, _ in texts}
        with spool.transaction() as db:
            for place, ((number, text), segments) in enumerate(zip(texts, lengths, strict=True)):
                phone = found[number]
                # STOP may wait in the spool while the database is away.
                changed_ms = 0 if phone is None else phone.changed_at_ms
                if (phone is not None and phone.stopped) or outbox.has_stopped_since(
                    db, number=number, since_ms=changed_ms
                ):
                    ids.append(None)
                    continue
                own = phone.route if phone is not None and phone.route in names else route
                at_ms = now_ms()
                message_id = outbox.put(
                    db, key=f"c:{batch}:{place}", route=route if is_route_given else own, number=number,
                    text=text, kind="sent", lane=lane, segments=segments, now_ms=at_ms,
                    expires_ms=at_ms + EXPIRES_MS,
                )  # fmt: skip
                ids.append(f"o{message_id}")
    return ids


def _status(args: argparse.Namespace) -> int:
    from stormpetrel.storage.sms_spool.figures import LANES, figures
    from stormpetrel.storage.sms_spool.file import open_spool

    config = _instance(args)
    with open_spool(config.data_dir) as spool:
        value = figures(spool.raw, config.sms, now_ms=now_ms())
    if args.json:
        print_json(value)
        return 0
    print_table(
        ("ROUTE", "PROVIDER", "STATE"),
        [(one["name"], one["provider"], one["state"]) for one in value["routes"]],
    )
    print_table(
        ("LANE", "QUEUED", "OLDEST", "TEXTS"),
        [
            (lane, str(one["queued"]), f"{one['oldest_s']} s", LANES[int(lane)])
            for lane, one in value["outbox"]["lanes"].items()
        ],
    )
    inbox, money = value["inbox"], value["money"]
    print(f"messages: {inbox['stored']} stored, {inbox['waiting']} waiting, {inbox['dropped']} dropped")
    limit = f" of {money['cap_day']}" if money["cap_day"] != "0" else ""
    print(f"money today: {money['spent_today']}{limit} {money['currency']}, {money['reserved']} reserved")
    return 0


def _pause(args: argparse.Namespace) -> int:
    from stormpetrel.storage.sms_spool import state
    from stormpetrel.storage.sms_spool.file import open_spool

    config = _instance(args)
    route = _route(config, args.route)
    with open_spool(config.data_dir) as spool, spool.transaction() as db:
        state.pause(db, route=route, is_paused=args.is_paused)
    _say(
        args,
        {"route": route, "paused": args.is_paused},
        f"{route} is paused" if args.is_paused else f"{route} sends again",
    )
    return 0


def _replay(args: argparse.Namespace) -> int:
    from stormpetrel.storage import phone_queue
    from stormpetrel.storage.sms_spool import inbox, outbox
    from stormpetrel.storage.sms_spool.file import open_spool

    config = _instance(args)
    direction, digits = args.id[:1], args.id[1:]
    if direction not in ("i", "o") or not digits.isdecimal() or len(digits) > MOST_ID_DIGITS:
        raise SetupError(f"{args.id!r} is no id of the log: it is like i42 or o17")
    with open_spool(config.data_dir) as spool:
        if direction == "o":
            with spool.transaction() as db:
                is_again = outbox.replay(
                    db, message_id=int(digits), now_ms=now_ms(), expires_after_ms=LONG_MS
                )
        else:
            key = inbox.key_of(spool.raw, message_id=int(digits))
            is_again = False
            if key is not None:
                with open_store(config.database_url) as connection, change(connection):
                    phone_queue.forget_outcome(connection, key=key)
                with spool.transaction() as db:
                    is_again = inbox.replay(db, message_id=int(digits), now_ms=now_ms())
    if not is_again:
        raise SetupError(
            f"{args.id} cannot be done again: there is none, it waits already, or it had its effect"
        )
    _say(args, {"id": args.id}, f"{args.id} is done again")
    return 0
