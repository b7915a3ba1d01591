"""Logs: a message is one line, whatever others have put into it."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

from mien.system.logs import keep_log

FORGED = "said\n2026-11-29 00:00:00  forward    all is well\r\x1b[2Jgone"


def test_what_others_sent_adds_no_line_to_the_file(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    keep_log("forward", lambda: tmp_path)
    try:
        logging.getLogger("mien").error("somebody %s", FORGED)
        try:
            raise ValueError("no")
        except ValueError:
            logging.getLogger("mien").exception("it failed")
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
            handler.close()
    first, second, *traceback = (tmp_path / "logs" / "forward.log").read_text().splitlines()
    assert first.endswith("somebody said?2026-11-29 00:00:00  forward    all is well??[2Jgone")
    assert second.endswith("it failed")
    assert traceback[0] == "Traceback (most recent call last):"


def test_nor_to_the_terminal() -> None:
    code = f"from mien.system.logs import log_as; import logging; log_as('watch'); logging.warning({FORGED!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr
