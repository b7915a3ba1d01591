"""How help looks: commands and their parameters go in; text of 80 columns comes out, for the terminal and the docs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import typer
from typer import Context
from typer.core import TyperCommand, TyperGroup

__all__ = ["Commands", "HelpGroup", "help_text"]

WIDTH = 80

TYPES = {"path": "PATH", "int": "N", "float": "NUMBER"}
"""What stands for a value of a type whose option names none."""

MORE = "More"


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


class HelpCommand(TyperCommand):
    """A command whose help names values as people do: `PATH...`, not `<list[str]>`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands behind the command's name in its usage."""
        return [self.options_metavar or "", *_arguments_of(self.get_params(ctx))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, a row each."""
        _write_parameters(self.get_params(ctx), ctx, formatter)


class HelpGroup(TyperGroup):
    """A group of commands, listed in sections, each with one whole line; alone it prints its help.

    Attributes:
        sections: The commands of each section, in order; without any, all stand under one head.
    """

    sections: ClassVar[dict[str, tuple[str, ...]]] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Print the help where nothing is asked for."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options, then the commands in their sections."""
        _write_parameters(self.get_params(ctx), ctx, formatter)
        listed = {name: command for name, command in self.commands.items() if not command.hidden}
        placed = {name for names in self.sections.values() for name in names}
        rest = tuple(name for name in listed if name not in placed)
        room = max(map(len, listed), default=0)
        for head, names in {**self.sections, (MORE if placed else "Commands"): rest}.items():
            rows = [(name.ljust(room), listed[name].get_short_help_str(WIDTH)) for name in names if name in listed]
            if rows:
                with formatter.section(head):
                    formatter.write_dl(rows)


class Commands(typer.Typer):
    """Commands whose help looks as above."""

    def __init__(self, *, cls: type[HelpGroup] = HelpGroup, **options: Any) -> None:
        super().__init__(cls=cls, no_args_is_help=True, rich_markup_mode=None, add_completion=False, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Return what makes a function a command."""
        return super().command(name, cls=HelpCommand, **options)


def _arguments_of(parameters: list[Any]) -> list[str]:
    names = [(parameter, _argument(parameter)) for parameter in parameters if parameter.param_type_name == "argument"]
    return [name if parameter.required else f"[{name}]" for parameter, name in names]


def _argument(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    if parameter.nargs == 1 or name.endswith("..."):
        return name
    return f"{name.removesuffix('S')}..."


def _write_parameters(parameters: list[Any], ctx: Any, formatter: Any) -> None:
    rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            rows["Arguments"].append((_argument(parameter), record[1].removesuffix("[required]").rstrip()))
        else:
            flags, open_bracket, kind = record[0].removesuffix(">").partition(" <")
            named = f"{flags} {_value(parameter, kind)}" if open_bracket else record[0]
            rows["Options"].append((named, record[1]))
    for head, written in rows.items():
        if written:
            with formatter.section(head):
                formatter.write_dl(written)


def _value(option: Any, kind: str) -> str:
    """Return what stands for an option's value, by its type as typer writes it."""
    if "|" in kind:
        return kind
    plain = kind.removeprefix("list[").removesuffix("]").removesuffix(" range")
    return TYPES.get(plain) or str(option.opts[0]).lstrip("-").upper().replace("-", "_")
