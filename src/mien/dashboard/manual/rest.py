"""The REST API as people read it: its OpenAPI document goes in; groups of requests and shapes of bodies come out."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

__all__ = ["Field", "Request", "RequestGroup", "Schema", "described"]

GROUPS = {
    "figures": "Figures", "live": "Live", "markers": "Markers", "pictures": "Pictures", "reports": "Reports",
    "demo": "The demo",
}  # fmt: skip
"""What the groups are called; one without a name here comes last, under its own."""


class Field(NamedTuple):
    """A parameter or a property of a body: its name, its type in words, what it is, whether it must be given."""

    name: str
    kind: str
    shape: str
    words: str
    needed: bool


class Request(NamedTuple):
    """What can be asked for.

    Attributes:
        method: GET, POST or DELETE.
        path: Below the API's own.
        anchor: What it is linked to by.
        words: What it does.
        fields: Its parameters.
        body: The type of its body in words, and the name of its shape; empty: it takes none.
        answers: Status, words and shape of each answer that is no refusal.
        refusals: The statuses of the refusals.
        example: A command that asks for it.
    """

    method: str
    path: str
    anchor: str
    words: str
    fields: list[Field]
    body: tuple[str, str]
    answers: list[tuple[str, str, str]]
    refusals: list[str]
    example: str


class RequestGroup(NamedTuple):
    """Requests that belong together."""

    name: str
    anchor: str
    requests: list[Request]


class Schema(NamedTuple):
    """A JSON object: its name, what it is, and its properties."""

    name: str
    words: str
    fields: list[Field]


def described(document: dict[str, Any], address: str) -> tuple[list[RequestGroup], list[Schema]]:
    """Return the requests in groups, and the shapes of bodies.

    Args:
        document: The OpenAPI document.
        address: Where the API is, as in `http://127.0.0.1:8080/api`.
    """
    groups: dict[str, RequestGroup] = {tag: RequestGroup(name, tag, []) for tag, name in GROUPS.items()}
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            tag = (told.get("tags") or ["others"])[0]
            group = groups.setdefault(tag, RequestGroup(tag.capitalize(), tag, []))
            group.requests.append(_request(path, method, told, address))
    schemas = document["components"]["schemas"]
    shapes = [
        Schema(name, _first(schema.get("description", "")), _properties(schema)) for name, schema in schemas.items()
    ]
    return [group for group in groups.values() if group.requests], shapes


def _request(path: str, method: str, told: dict[str, Any], address: str) -> Request:
    fields = [
        Field(parameter["name"], *_kind(parameter["schema"]), parameter.get("description", ""), parameter["required"])
        for parameter in told.get("parameters", [])
    ]
    contents = told.get("requestBody", {}).get("content", {})
    nothing: tuple[str, dict[str, Any]] = ("", {})
    answers, refusals = [], []
    for status, answer in told["responses"].items():
        if status < "400":
            media, content = next(iter(answer.get("content", {}).items()), nothing)
            kind, shape = _kind(content.get("schema", {})) if media == "application/json" else (media, "")
            answers.append((status, kind or "no body", shape))
        else:
            refusals.append(status)
    media, content = next(iter(contents.items()), nothing)
    body = ("", "") if not media else _kind(content["schema"]) if "json" in media else ("the file itself", "")
    words = _first(told.get("description", ""))
    return Request(
        method.upper(), path, f"{method}{path.replace('/', '-').replace('{', '').replace('}', '')}", words, fields,
        body, answers, refusals, _example(method, path, media, address),
    )  # fmt: skip


def _example(method: str, path: str, media: str, address: str) -> str:
    words = ["curl"]
    if method == "delete":
        words.append("-X DELETE")
    elif "json" in media:
        words.append("--json '{…}'")
    elif media:
        words.append("--data-binary @FILE")
    elif method == "post":
        words.append("-X POST")
    return " ".join([*words, f"{address}{path}".replace("{", "").replace("}", "")])


def _properties(schema: dict[str, Any]) -> list[Field]:
    needed = schema.get("required", [])
    return [
        Field(name, *_kind(told), told.get("description", ""), name in needed)
        for name, told in schema.get("properties", {}).items()
    ]


def _kind(schema: dict[str, Any]) -> tuple[str, str]:
    """Return a type in words, and the name of the shape in it, if there is one."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name, name
    if "anyOf" in schema:
        kinds = [_kind(choice) for choice in schema["anyOf"]]
        words = " or ".join(kind for kind, _ in kinds if kind)
        enum = schema.get("enum")
        return words if enum is None else _choice(enum), next((shape for _, shape in kinds if shape), "")
    if "enum" in schema:
        return _choice(schema["enum"]), ""
    if "const" in schema:
        return json.dumps(schema["const"]), ""
    kind = schema.get("type", "")
    if kind == "array":
        inner, shape = _kind(schema.get("items", {}))
        return f"list of {inner or 'values'}", shape
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        inner, shape = _kind(schema["additionalProperties"])
        return f"object of {inner}", shape
    if schema.get("format") == "date-time":
        return "time", ""
    bounds = [f"{sign} {schema[name]:g}" for name, sign in (("minimum", "≥"), ("maximum", "≤")) if name in schema]
    return " ".join([kind, *bounds]), ""


def _choice(values: list[Any]) -> str:
    return " or ".join(json.dumps(value) for value in values)


def _first(text: str) -> str:
    """Return a docstring's first paragraph on one line: those behind it are for who reads the code."""
    return " ".join(text.split("\n\n")[0].split())
