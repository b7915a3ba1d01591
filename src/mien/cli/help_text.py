"""The help of a command as text, for the documentation."""

from __future__ import annotations

from typing import Any

from typer import Context

__all__ = ["help_text"]

WIDTH = 80


def help_text(program: Any, command: str) -> str:
    """Return what `mien COMMAND --help` prints.

    Args:
        program: The whole of `mien`, as click has it.
        command: The command's words, such as `report film`.
    """
    described = program
    context = Context(described, info_name="mien", terminal_width=WIDTH)
    for word in command.split():
        described = described.commands[word]
        context = Context(described, info_name=word, parent=context, terminal_width=WIDTH)
    return str(described.get_help(context))
