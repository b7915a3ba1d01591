"""The one shape that every error of the API has: {"error": {"code": …, "message": …}}.

Exceptions go in, also those of wrong parameters, unknown paths and our own mistakes; JSON answers come out.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount

from mien.dashboard.base_path import base_of
from mien.errors import InputError, MienError, MissingExtraError, StoreError

__all__ = ["ApiError", "answer_errors", "error_response", "message_for"]

log = logging.getLogger(__name__)

CODES = {
    400: "invalid", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
    408: "too_slow", 409: "unreachable", 413: "too_large", 415: "unsupported", 422: "invalid", 429: "too_many",
    500: "internal", 501: "not_installed", 503: "store_unavailable",
}  # fmt: skip
"""The code that an answer of each status has."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class ApiError(HTTPException):
    """What a route answers in place of what was asked.

    Args:
        status: A key of CODES.
        message: What was expected, what came and what to do.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, dict(headers or {}))


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error in the one shape that the API has."""
    safe = message.encode("utf-8", "replace").decode("utf-8")  # what came may hold halves of characters
    body = {"error": {"code": CODES.get(status, "invalid"), "message": safe[:1000]}}
    return JSONResponse(body, status, {"cache-control": "no-store", **(headers or {})})


def message_for(scope: MutableMapping[str, Any], error: Exception) -> str:
    """Return what an error says to who asks: where the store is, is told to admins alone."""
    if isinstance(error, StoreError) and getattr(scope.get("mien.who"), "role", None) != "admin":
        return error.public
    return str(error)


def answer_errors(api: FastAPI) -> None:
    """Let every error of an application have the one shape."""
    api.add_exception_handler(HTTPException, _on_http_error)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(StoreError, _on_store_error)
    api.add_exception_handler(InputError, _on_input_error)
    api.add_exception_handler(MissingExtraError, _on_missing_extra)
    api.add_exception_handler(MienError, _on_mien_error)
    api.add_exception_handler(ClientDisconnect, _on_gone)
    api.add_exception_handler(Exception, _on_crash)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return await _on_crash(request, error)
    headers = error.headers or {}
    if isinstance(error, ApiError):
        return error_response(error.status_code, error.detail, headers)
    if error.status_code == 404:
        document = f"{base_of(request.scope)}/api/v1/openapi.json"
        return error_response(404, f"there is no {request.url.path}: see {document}")
    if error.status_code == 405:
        allowed = _methods(request) or headers.get("Allow", "GET")
        message = f"{request.url.path} knows no {request.method}: use {allowed}"
        return error_response(405, message, {**headers, "Allow": allowed})
    return error_response(error.status_code, str(error.detail), headers)


def _methods(request: Request) -> str:
    """Return all methods that a path knows; the router's own answer names those of its first route alone."""
    routes = [route for route in request.scope["app"].router.routes if not isinstance(route, Mount)]

    def knows(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return ", ".join(method for method in METHODS if knows(method))


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    problem = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": str(error)}
    place, *names = [str(part) for part in problem["loc"]] or ["request"]
    name = f"'{'.'.join(names)}'" if names else "as a whole"
    return error_response(422, f"{'the body' if place == 'body' else 'parameter'} {name}: {problem['msg']}")


async def _on_store_error(request: Request, error: Exception) -> JSONResponse:
    return error_response(503, message_for(request.scope, error), {"retry-after": "1"})


async def _on_input_error(_request: Request, error: Exception) -> JSONResponse:
    return error_response(422, str(error))


async def _on_missing_extra(_request: Request, error: Exception) -> JSONResponse:
    return error_response(501, str(error))


async def _on_mien_error(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed: %s", request.method, request.url.path, error)
    return error_response(500, str(error))


async def _on_gone(_request: Request, _error: Exception) -> JSONResponse:
    """Answer who went away, or who sent more than the guard lets through."""
    return error_response(400, "the body did not arrive whole, or is too large: send it again", {"connection": "close"})


async def _on_crash(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed: %r", request.method, request.url.path, error, exc_info=error)
    return error_response(500, "the dashboard failed to answer; its log says why")
