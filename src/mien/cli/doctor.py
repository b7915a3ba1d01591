"""The command `mien doctor`: what works on this machine, and what to do about what doesn't."""

from __future__ import annotations

import sys

from mien.cli.common import Device, settings_of
from mien.cli.help_text import Commands
from mien.errors import MienError

__all__ = ["app"]

app = Commands()


@app.command(epilog="Example: mien doctor")
def doctor(device: Device = None) -> None:
    """Say what works on this machine, and what to do about the rest."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from mien.run.doctor import diagnose

    signs = {"ok": "[green]✓[/]", "note": "[yellow]![/]", "fail": "[red]✗[/]"}
    table = Table(box=None, show_header=False, pad_edge=False)
    findings = list(diagnose(settings_of("doctor", {"vision": {"device": device}})))
    for name, state, text in findings:
        table.add_row(signs[state], escape(name), escape(text))
    Console(soft_wrap=not sys.stdout.isatty()).print(table)
    failed = [finding.name for finding in findings if finding.state == "fail"]
    if failed:
        raise MienError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}")
