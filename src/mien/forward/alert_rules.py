"""Alert rules that are made on the page: they go into a file of the state folder, and come out of it for the forwarder.

The file has the tables [[alert]] of `mien.toml`, which stays as its owner wrote it; `mien forward` heeds both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from mien.config import AlertSettings, Settings, checked
from mien.errors import ConfigError, MienError
from mien.system.files import write_private

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["MOST", "all_rules", "read_rules", "rules_file", "stamp_of", "write_rules"]

MOST = 100
"""So many rules may be made on the page."""

HEAD = "# Alert rules made on the dashboard's page System; mien forward heeds them beside those of mien.toml.\n"


def rules_file(settings: Settings) -> Path:
    """Return where the rules lie."""
    return settings.home / "alerts.toml"


def stamp_of(settings: Settings) -> tuple[int, int]:
    """Return what tells one state of the file from another; nothing of the file is read."""
    try:
        state = rules_file(settings).stat()
    except OSError:
        return (0, 0)
    return state.st_mtime_ns, state.st_size


def read_rules(settings: Settings) -> tuple[AlertSettings, ...]:
    """Return the rules in the file; none where there is no file.

    Raises:
        ConfigError: It cannot be read, or says something else.
    """
    path = rules_file(settings)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"cannot read the alert rules '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not valid TOML: {error}") from error
    return checked({"alert": values.get("alert", [])}, f"'{path}'").alert


def all_rules(settings: Settings) -> tuple[AlertSettings, ...]:
    """Return the rules of the settings and those of the file; of two of one name that of the settings holds.

    Raises:
        ConfigError: The file cannot be read.
    """
    names = {rule.name for rule in settings.alert}
    return (*settings.alert, *(rule for rule in read_rules(settings) if rule.name not in names))


def write_rules(settings: Settings, rules: Sequence[AlertSettings]) -> None:
    """Write the rules, readable by their owner alone: an address may hold a secret.

    Raises:
        MienError: There are too many, or the file cannot be written.
    """
    if len(rules) > MOST:
        raise MienError(f"there are {len(rules)} alert rules: {MOST} at most can be made on the page")
    settings.ensure_home()
    tables = ["\n[[alert]]\n" + "".join(_lines(rule)) for rule in rules]
    write_private(rules_file(settings), (HEAD + "".join(tables)).encode())


def _lines(rule: AlertSettings) -> list[str]:
    """Return a rule's settings that differ from the defaults, a line each; TOML's strings may be written as JSON's."""
    lines = []
    for name, field in AlertSettings.model_fields.items():
        value = getattr(rule, name)
        if value is None or value == field.default:
            continue
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        text = json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007F")  # which TOML takes no other way
        lines.append(f"{name} = {text}\n")
    return lines
