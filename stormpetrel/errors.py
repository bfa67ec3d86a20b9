"""All errors that a caller can get, in one tree.

    StormpetrelError
    ├── SetupError            exit 2: wrong use or configuration
    ├── EnvironmentFailure    exit 3: port taken, database unreachable
    │   └── CorruptStore      exit 3: the database file is damaged
    └── Refusal               an answer to a request; knows its HTTP status
        ├── Malformed         400  the request cannot be read
        ├── NotSignedIn       401  no credential, or one that is not valid (any more)
        ├── Forbidden         403  a valid credential that may not do this
        ├── NotFound          404  it does not exist, or the caller may not know that it does
        ├── MethodNotAllowed  405
        ├── TooLarge          413
        ├── WrongMediaType    415
        ├── Invalid           422  readable, but breaks a rule; `fields` names the fields
        │   └── UnexpectedMentions     the post mentions others than its app allows
        ├── TooMany           429  with retry_after_s
        ├── Busy              503  with retry_after_s: nothing was stored
        └── OutcomeUnknown    503  with retry_after_s: it may have been stored

The caller reads `safe_text`; the cause is chained by `raise … from` and reaches only the log.
"""

from __future__ import annotations


class StormpetrelError(Exception):
    """The root: `safe_text` may be shown to any client."""

    def __init__(self, safe_text: str) -> None:
        super().__init__(safe_text)
        self.safe_text = safe_text


class SetupError(StormpetrelError):
    """Wrong use or configuration: one line on stderr, exit 2."""


class EnvironmentFailure(StormpetrelError):
    """The machine lacks something (port, database, disk): one line on stderr, exit 3."""


class CorruptStore(EnvironmentFailure):
    """The database file is damaged: a restart does not help."""

    def __init__(self, path: object, cause: object) -> None:
        super().__init__(
            f"the database {path} is damaged ({cause}): restore the newest backup (stormpetrel restore)"
        )


class Refusal(StormpetrelError):
    """A refused request."""

    status = 400

    def __init__(self, safe_text: str | None = None) -> None:
        super().__init__(safe_text if safe_text is not None else self.default_text)

    default_text = "This request cannot be answered"


class Malformed(Refusal):
    status = 400
    default_text = "The request could not be read"


class NotSignedIn(Refusal):
    status = 401
    default_text = "The access token is invalid"


class Forbidden(Refusal):
    status = 403
    default_text = "This action is not allowed"


class NotFound(Refusal):
    status = 404
    default_text = "Record not found"


class MethodNotAllowed(Refusal):
    """Carries `allowed`, the methods that the path supports."""

    status = 405
    default_text = "Method not allowed"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__()
        self.allowed = allowed


class TooLarge(Refusal):
    status = 413
    default_text = "The request is too large"


class WrongMediaType(Refusal):
    status = 415
    default_text = "Unsupported content type"


class Problem(str):
    """A field's problem as text; `code` is the key by which apps translate it (Mastodon's ERR_…)."""

    __slots__ = ("code",)

    code: str

    def __new__(cls, text: str, code: str) -> Problem:
        made = super().__new__(cls, text)
        made.code = code
        return made


BLANK = Problem("can't be blank", "ERR_BLANK")
TAKEN = Problem("has already been taken", "ERR_TAKEN")
RESERVED = Problem("is reserved", "ERR_RESERVED")
NOT_ACCEPTED = Problem("must be accepted", "ERR_ACCEPTED")


def too_long(most: int) -> Problem:
    """Return the problem of a text with more characters than `most`."""
    return Problem(f"is too long (maximum is {most} characters)", "ERR_TOO_LONG")


def too_short(least: int) -> Problem:
    """Return the problem of a text with fewer characters than `least`."""
    return Problem(f"is too short (minimum is {least} characters)", "ERR_TOO_SHORT")


def code_of(problem: str) -> str:
    """Return the code of a field's problem; ERR_INVALID by default."""
    return problem.code if isinstance(problem, Problem) else "ERR_INVALID"


class Invalid(Refusal):
    """Breaks a rule. `fields` maps a field's name to its problem: for forms and sign-up."""

    status = 422
    default_text = "Validation failed"

    def __init__(self, safe_text: str | None = None, *, fields: dict[str, str] | None = None) -> None:
        super().__init__(safe_text)
        self.fields = fields or {}


class UnexpectedMentions(Invalid):
    """A post mentions accounts (`account_ids`) that its app does not allow."""

    def __init__(self, account_ids: tuple[int, ...]) -> None:
        super().__init__("Post would be sent to unexpected accounts")
        self.account_ids = account_ids


class TooMany(Refusal):
    """Over a limit; retry in `retry_after_s` seconds."""

    status = 429
    default_text = "Too many requests"

    def __init__(self, safe_text: str | None = None, *, retry_after_s: int) -> None:
        super().__init__(safe_text)
        self.retry_after_s = retry_after_s


class Busy(Refusal):
    """Nothing was stored; retry in `retry_after_s` seconds."""

    status = 503
    default_text = "The server is busy; nothing was stored. Please try again"

    def __init__(self, safe_text: str | None = None, *, retry_after_s: int = 2) -> None:
        super().__init__(safe_text)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(Busy):
    """The store failed while it was storing; the data may or may not be stored."""

    default_text = (
        "The server lost the connection to its database while storing this, so it may or may not have been stored. "
        "Please check before you send it again"
    )
