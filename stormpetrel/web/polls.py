"""A poll as one reader sees it on a page, the form fields of a new poll, and voting with a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stormpetrel.errors import Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.poll import MAX_OPTIONS, Poll, PollDraft, positions_in
from stormpetrel.rules import polls as rules
from stormpetrel.web.links import same_site

DURATIONS = (
    (300, "5 minutes"),
    (1_800, "30 minutes"),
    (3_600, "1 hour"),
    (21_600, "6 hours"),
    (86_400, "1 day"),
    (259_200, "3 days"),
    (604_800, "7 days"),
)
"""The form's choices: seconds and label, within the limits of model/poll.py."""
USUAL_DURATION_S = 86_400


@dataclass(frozen=True, slots=True)
class PollChoice:
    """One option as shown. `percent`: of the voters, None while the result is hidden from the reader."""

    number: int
    title: str
    percent: int | None
    votes_count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class PollView:
    """A poll for one reader; never cached with the content that all readers share.

    `may_vote`: the poll is open, not the reader's own, and they have not voted. `may_sign_in`: a visitor
    could vote after signing in. `awaited`: the result is shown when the poll ends.
    """

    post_id: int
    answers: tuple[PollChoice, ...]
    multiple: bool
    over: bool
    may_vote: bool
    may_sign_in: bool
    awaited: bool
    voters_count: int
    expires_at_ms: int


def poll_view(poll: Poll, *, reader_id: int | None, votes: int, now_ms: int) -> PollView:
    """Return the poll for a reader who voted for `votes` (model/poll.py, bits_of). Results are shown after
    voting, to the author, and after the end; not while `hide_totals` hides them."""
    over = poll.is_over(now_ms)
    own = reader_id == poll.author_id
    known = over or own or (reader_id is not None and votes != 0)
    shown = known and poll.is_open_book(now_ms)
    chosen = set(positions_in(votes)) if reader_id is not None else set()
    return PollView(
        post_id=poll.post_id,
        answers=tuple(
            PollChoice(
                number=number,
                title=option.title,
                # Percent of the voters: with several choices the sum may exceed 100.
                percent=round(100 * option.votes_count / max(poll.voters_count, 1)) if shown else None,
                votes_count=option.votes_count if shown else 0,
                chosen=number in chosen,
            )
            for number, option in enumerate(poll.options)
        ),
        multiple=poll.multiple,
        over=over,
        may_vote=reader_id is not None and not known,
        may_sign_in=reader_id is None and not over,
        awaited=known and not shown,
        voters_count=poll.voters_count,
        expires_at_ms=poll.expires_at_ms,
    )


@dataclass(frozen=True, slots=True)
class PollFields:
    """The fields of a new poll in the form for posts, as submitted."""

    options: tuple[str, ...] = ("",) * MAX_OPTIONS
    duration_s: int = USUAL_DURATION_S
    multiple: bool = False
    hide_totals: bool = False

    @property
    def durations(self) -> tuple[tuple[int, str], ...]:
        """Return the seconds and label of each choice."""
        return DURATIONS

    @property
    def asked(self) -> bool:
        """Return True if an option was filled in; otherwise the post gets no poll."""
        return any(option.strip() for option in self.options)

    @property
    def draft(self) -> PollDraft | None:
        """Return the requested poll, without empty options."""
        if not self.asked:
            return None
        return PollDraft(
            options=tuple(option for option in self.options if option.strip()),
            duration_s=self.duration_s,
            multiple=self.multiple,
            hide_totals=self.hide_totals,
        )


def poll_fields(fields: Mapping[str, str]) -> PollFields:
    """Return the submitted values. A duration that the form does not offer becomes the default."""
    durations = {str(seconds): seconds for seconds, _ in DURATIONS}
    return PollFields(
        options=tuple(fields.get(f"poll_option_{number}", "") for number in range(MAX_OPTIONS)),
        duration_s=durations.get(fields.get("poll_duration", ""), USUAL_DURATION_S),
        multiple="poll_multiple" in fields,
        hide_totals="poll_hide_totals" in fields,
    )


async def vote(request: Request) -> Response:
    """POST /posts/ID/vote: `choice` for a poll with one choice, `choice_N` for one with several."""
    fields = await request.form()
    choices = [number for number in range(MAX_OPTIONS) if f"choice_{number}" in fields]
    if "choice" in fields:
        if fields["choice"] not in map(str, range(MAX_OPTIONS)):
            raise Invalid("Validation failed: The chosen vote option does not exist")
        choices.append(int(fields["choice"]))
    await request.site.database.write(
        rules.vote,
        account_id=request.account_id,
        poll_id=request.id(),
        choices=choices,
        now_ms=request.now_ms,
    )
    return redirect(same_site(fields.get("next", "")))
