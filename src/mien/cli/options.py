"""Options that several commands have: a dataclass goes in; a command that takes its fields comes out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints

__all__ = ["taking"]


def taking(options: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take the fields of a dataclass as options of its own; it gets them as one in `options`.

        @app.command()
        @taking(PageOptions)
        def album(paths: Paths, *, options: PageOptions) -> None: ...

    Args:
        options: A dataclass whose fields are annotated as parameters of a command are, each with a default.
    """
    names = [field.name for field in fields(options)]

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own, shared = get_type_hints(command, include_extras=True), get_type_hints(options, include_extras=True)
        parameters = [
            parameter.replace(annotation=own[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(command).parameters.items()
            if name != "options"
        ]
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=shared[field.name]
            )
            for field in fields(options)
        ]

        def run(**given: Any) -> None:
            command(**{name: value for name, value in given.items() if name not in names}, options=_made(given))

        def _made(given: dict[str, Any]) -> Any:
            return options(**{name: given[name] for name in names})

        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorated
