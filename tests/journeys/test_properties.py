"""Requests that the description permits or forbids get no 5xx and no undeclared answer.

schemathesis makes the requests from the served OpenAPI document: valid ones and broken ones, for every
operation. In half of the cases the ids are of existing objects, so that requests get past the 404.
"""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 2
"""Requests for each operation and mode: half a minute, on SQLite. `make prove` makes more, on both stores."""
MANY_EXAMPLES = 100
FRUITLESS = 30
"""Draws without a case after which an operation has none; those that have one give it within 7 draws."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
STREAMS = "/api/v1/streaming"
"""These answers do not end. tests/api/test_streaming.py covers them."""


class Caller:
    """Sends requests as one account. `ids` are of existing objects, keyed by the first noun of the path."""

    def __init__(self, place: Any) -> None:
        self.person = place.person("prop")
        self.other = place.person("other")
        self.base_url = place.base_url
        self.session = requests.Session()
        self.session.trust_env = False
        post = self.person.post("Something to ask about #properties")
        self.other.do(f"/api/v1/statuses/{post['id']}/favourite")
        self.ids = {
            "statuses": post["id"],
            "accounts": str(self.other.id),
            "notifications": self.person.get("/api/v1/notifications")[0]["id"],
        }

    def ask(self, case: schemathesis.Case, *, by_id: bool, with_token: bool) -> None:
        """Send the case and check the answer. With `by_id`, use the id of an existing object."""
        noun = case.operation.path.split("/")[3:4]
        known = self.ids.get(noun[0]) if noun else None
        if by_id and known is not None and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = known
        headers = {"Authorization": f"Bearer {self.person.token}"} if with_token else {}
        answer = case.call(base_url=self.base_url, session=self.session, headers=headers, timeout=20)
        case.validate_response(answer, checks=CHECKS, headers=headers)


@pytest.fixture(scope="module")
def caller(place):
    return Caller(place)


@pytest.fixture(scope="module")
def operations(place):
    """Return every operation of the served description except the streams."""
    schema = schemathesis.openapi.from_dict(place.visitor.get("/api/openapi.json").json())
    found = [operation.ok() for operation in schema.get_all_operations()]
    kept = [operation for operation in found if not operation.path.startswith(STREAMS)]
    assert len(kept) > 90
    return kept


class NothingToAsk(BaseException):  # hypothesis would count an Exception as a failed example
    """An operation has no request of this mode: a path without parameters that could be invalid."""


@st.composite
def soon(draw: Any, cases: Any, tries: list[bool]) -> schemathesis.Case:
    """Draw a case. Give up after FRUITLESS draws without any; hypothesis alone would try hundreds of times."""
    try:
        case = draw(cases)
    except BaseException as error:
        tries.append(False)
        if len(tries) >= FRUITLESS and not any(tries):
            raise NothingToAsk from error
        raise
    tries.append(True)
    return case


def ask_everything(caller: Caller, operations: list[Any], *, examples: int) -> None:
    """Send `examples` requests of each mode to each operation. Report all failures, not only the first."""
    failures = []
    asked = 0
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            tries: list[bool] = []

            @hypothesis.settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(
                case=soon(operation.as_strategy(generation_mode=mode), tries),
                by_id=st.booleans(),
                with_token=st.just(True),
            )
            def ask(case: schemathesis.Case, by_id: bool, with_token: bool) -> None:
                nonlocal asked
                asked += 1
                caller.ask(case, by_id=by_id, with_token=with_token)

            try:
                ask()
            except (NothingToAsk, hypothesis.errors.Unsatisfiable):
                continue  # an operation without parameters has no invalid requests
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                failures.append(f"{operation.label} ({mode.value}): {error!r}\n{error}")
    assert not failures, f"{len(failures)} of {len(operations)}:\n" + "\n\n".join(failures)
    assert asked > len(operations)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_every_operation_answers_as_described(caller, operations):
    ask_everything(caller, operations, examples=EXAMPLES)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_every_operation_answers_as_described_however_often_it_is_asked(caller, operations):
    ask_everything(caller, operations, examples=MANY_EXAMPLES)
