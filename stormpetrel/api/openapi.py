"""The OpenAPI 3.1 document of the API, built from the route table and the types that serve the requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec

from stormpetrel import __version__
from stormpetrel.api.json.entities import Error
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.http.routing import Actor, Handler, Route
from stormpetrel.model.access import SCOPES

_PARAMETER = re.compile(r"\{(\w+)\}")
_REFERENCES = "#/components/schemas/{name}"

_JSON = "application/json"
_BODIES = (_JSON, "application/x-www-form-urlencoded", "multipart/form-data")

_ERRORS = {
    400: "The request could not be parsed",
    401: "Missing, invalid or expired token",
    403: "The token does not allow this",
    404: "Not found, or not visible to the caller",
    413: "The body is too large",
    414: "The URL is too long",
    415: "Unsupported content type",
    422: "Validation failed; `details` may name the fields",
    429: "Too many requests; retry after `Retry-After` seconds",
    503: "The server is busy and nothing was stored; retry after `Retry-After` seconds",
}


def show_document(routes: Callable[[], tuple[Route, ...]]) -> Handler:
    """Return the handler that shows the document of `routes()`, called later: the table lists the handler too."""

    @answers(dict[str, Any])
    async def show(request: Request) -> Response:
        """View this OpenAPI document"""
        request.keep_hot("instance")
        return Response(body=_encoded(routes(), request.site.base_url))

    return show


@lru_cache(maxsize=1)
def _encoded(routes: tuple[Route, ...], base_url: str) -> bytes:
    return msgspec.json.encode(document(routes, base_url=base_url))


def document(routes: Iterable[Route], *, base_url: str) -> dict[str, Any]:
    """Return the OpenAPI document of `routes` as the object that is served."""
    listed = [route for route in routes if route.is_api]
    schemas = _Schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stormpetrel",
            "version": __version__,
            "summary": "The Mastodon client API, as far as this server supports it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": _error_responses(schemas),
            "securitySchemes": _security_schemes(base_url),
        },
    }


class _Schemas:
    """JSON Schemas of all input and output types."""

    def __init__(self, routes: list[Route]) -> None:
        types: dict[str, Any] = {str(Error): Error}
        for route in routes:
            for kind in (route.takes, route.gives):
                if kind is not None:
                    types[str(kind)] = kind
        schemas, self.components = msgspec.json.schema_components(
            list(types.values()), ref_template=_REFERENCES
        )
        self._by_type = dict(zip(types, schemas, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        """Return the schema of a type; a reference if the type has a name."""
        return self._by_type[str(kind)]

    def properties(self, kind: type[msgspec.Struct]) -> tuple[dict[str, Any], set[str]]:
        """Return a struct's fields and the names of the required ones."""
        schema = self.components[self.of(kind)["$ref"].rpartition("/")[2]]
        return schema.get("properties", {}), set(schema.get("required", ()))


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": _parameters(route, schemas),
        "responses": _responses(route, schemas),
    }
    if route.takes is not None and route.method != "GET":
        body = {"schema": schemas.of(route.takes)}
        operation["requestBody"] = {"content": dict.fromkeys(_BODIES, body)}
    if route.actor is not Actor.ANYONE or route.scope is not None:
        allowed: list[dict[str, list[str]]] = [{"oauth2": [route.scope] if route.scope else []}]
        # An empty entry: the operation is also available without a token.
        operation["security"] = allowed if route.actor is not Actor.ANYONE else [*allowed, {}]
    return operation


def _operation_id(route: Route) -> str:
    words = re.sub(r"\W+", " ", f"{route.method.lower()} {route.path}").split()
    return "_".join(words)


def _tag(path: str) -> str:
    """Return the first noun of the path; the handler's file is named after it."""
    parts = [part for part in path.split("/") if part and not re.fullmatch(r"api|v\d", part)]
    return parts[0].removeprefix(".")


def _parameters(route: Route, schemas: _Schemas) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.takes is not None and route.method == "GET":
        properties, required = schemas.properties(route.takes)
        for name, schema in properties.items():
            is_list = schema.get("type") == "array"
            parameters.append(
                {
                    "name": f"{name}[]" if is_list else name,
                    "in": "query",
                    "required": name in required,
                    "schema": schema,
                }
            )
    return parameters


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    media_type = "text/event-stream" if route.streams else route.media_type
    answer: dict[str, Any] = {"description": route.summary}
    if route.gives is not None:
        answer["content"] = {media_type: {"schema": schemas.of(route.gives)}}
    if route.paged:
        about = 'Neighbouring pages: rel="next" is older, rel="prev" newer'
        answer["headers"] = {"Link": {"description": about, "schema": {"type": "string"}}}
    responses: dict[str, Any] = {str(status): answer for status in route.statuses}
    for status in _error_statuses(route):
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    return responses


def _error_responses(schemas: _Schemas) -> dict[str, Any]:
    error = {_JSON: {"schema": schemas.of(Error)}}
    return {f"Error{status}": {"description": said, "content": error} for status, said in _ERRORS.items()}


def _error_statuses(route: Route) -> list[int]:
    statuses = {400, 414, 422, 429, 503, *route.refuses}
    if route.method != "GET":
        statuses |= {413, 415}
    if route.actor is not Actor.ANYONE or route.scope is not None:
        statuses |= {401, 403}
    if "{" in route.path:
        statuses.add(404)
    return sorted(statuses)


def _security_schemes(base_url: str) -> dict[str, Any]:
    scopes = {scope: f"The scope {scope}" for scope in SCOPES}
    return {
        "oauth2": {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": f"{base_url}/oauth/authorize",
                    "tokenUrl": f"{base_url}/oauth/token",
                    "scopes": scopes,
                },
                "clientCredentials": {"tokenUrl": f"{base_url}/oauth/token", "scopes": scopes},
            },
        }
    }
