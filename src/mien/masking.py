"""Secrets in addresses: an URL, a spec or a message goes in; it comes out with asterisks in the place of passwords.

Passwords stand before the @, in parameters (`?password=`, `&pwd=`), in the paths of cameras, in libpq's keyword strings
(`host=db password=…`), and in addresses inside addresses, plain or percent-encoded; many were not encoded as they
should have been. Where it is not certain what belongs to one, more is masked rather than less.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

__all__ = ["as_text", "without_password", "without_secrets"]

MASK = "***"

SECRET_ENDINGS = (
    "pass", "passwd", "password", "passphrase", "passcode", "passwort", "pwd", "loginpas", "token", "secret", "key",
    "sig", "signature", "auth", "authorization", "jwt", "credentials", "base64",
)  # fmt: skip
"""What the names of parameters with secrets end with, without what is no letter or digit."""

SECRET_NAMES = frozenset({"p", "pw", "psw", "pas", "sid", "session", "sessionid"})
PLAIN_NAMES = frozenset({"sslkey", "sslcertmode", "hotkey", "monkey"})
"""What ends like a secret and is none: libpq's `sslkey` names a file."""

PORTS = frozenset({"80", "443", "554", "322", "1935", "5432", "8080", "8443", "8554", "8883", "1883"})

NAME = r"[A-Za-z0-9_.%+-]{1,64}"
PARAMETER = re.compile(rf"([?&;/#])({NAME})=", re.ASCII)
NEXT = re.compile(rf"[&;]{NAME}=", re.ASCII)
IN_PATH = re.compile(r"(^|[/_])([A-Za-z]{1,32})=", re.ASCII)
KEYWORD = re.compile(rf"(^|[\s,;(\[\"'])({NAME})(\s*=\s*)('(?:[^'\\]|\\.|'')*(?:'|\Z)|\"[^\"]*(?:\"|\Z)|\S+)", re.ASCII)
NESTED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,30}://")
URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:(?://|%2[fF]%2[fF])[^\s'\"<>]+")
NO_SLASHES = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,30}):(?!//)(.*)@(.*)\Z", re.DOTALL)
HOST = re.compile(r"(\[[^\]/]*\]|[^/@:?#]*)(?::(\d*))?(?:[/?#]|\Z)")
STREAMS = frozenset({"rtsp", "rtsps", "rtspt", "rtspu", "rtmp", "rtmps", "rtmpt", "rtmpe", "srt", "mms", "webrtc"})
RANDOM = re.compile(
    r"(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[a-z])(?=[A-Za-z0-9_-]*[A-Z])[A-Za-z0-9_-]{12,}|"
    r"(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{16,}|(?:[a-z0-9]{4}-){3,}[a-z0-9]{4}"
)
"""Parts of a stream's path that nobody would type: they are what lets one see it."""

MOST_DECODED = 4
"""So often what is percent-encoded is decoded, to look into it."""

SHORTEST = 3
"""A secret that is shorter cannot be told from the words of a message."""


def as_text(file: Path | str) -> str:
    """Return a file's name as text that can be written anywhere; for a byte that is no UTF-8 a mark (U+FFFD) stands."""
    return re.sub("[\ud800-\udfff]", "\ufffd", str(file))


def without_password(url: str) -> str:
    """Return an URL, a path, a spec or a libpq keyword string with asterisks in the place of its secrets.

    It can be written anywhere: bytes of a name that are no UTF-8 are replaced.
    """
    url = as_text(url)
    masked = _masked(url)
    for _ in range(MOST_DECODED):
        decoded = unquote(masked)
        if decoded == masked:
            break
        if (again := _masked(decoded)) != decoded:
            return without_password(again)
        masked = decoded
    return _masked(url)


def without_secrets(text: str, *urls: str) -> str:
    """Return a message, such as a database's, without the secrets of these addresses and of those that are in it."""
    for secret in sorted({part for url in urls for part in _secrets(url)}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = URL_IN_TEXT.sub(lambda match: without_password(match[0]), text)
    return _keywords(text)


def _masked(text: str) -> str:
    scheme, there, rest = text.partition("://")
    if not there:
        if loose := NO_SLASHES.match(text):
            return f"{loose[1]}:{MASK}@{_parameters(loose[3])}"
        return _keywords(_parameters(text))
    if "@" in rest and not _begins_with_host(rest):
        return f"{scheme}://{MASK}@{_place(scheme, rest.rpartition('@')[2])}"
    if nested := NESTED.search(rest):
        before, after = rest[: nested.start()], rest[nested.start() :]
        return f"{scheme}://{_place(scheme, before)}{_masked(after)}"
    return f"{scheme}://{_place(scheme, rest)}"


def _begins_with_host(rest: str) -> bool:
    """Say whether a host comes first, and not a user whose password holds what should have been encoded."""
    host = HOST.match(rest)
    if host is None:
        return False
    name, port = host[1], host[2]
    return not port or "." in name or name.startswith("[") or name == "localhost" or port in PORTS


def _place(scheme: str, rest: str) -> str:
    """Mask what comes behind the user and password of an URL."""
    path, mark, query = rest.partition("?")
    path = _parameters(path)
    for match in IN_PATH.finditer(path):
        if _is_secret(match[2]):
            path = path[: match.end()] + MASK  # cameras write them in a row: who knows where it ends
            break
    if scheme.lower().rpartition("+")[2] in STREAMS:
        host, slash, places = path.partition("/")
        path = host + slash + "/".join(_place_name(name) for name in places.split("/"))
    return path + _parameters(mark + query)


def _place_name(name: str) -> str:
    user, colon, password = name.partition(":")
    if colon and user and password and "=" not in name:
        return f"{user}:{MASK}"
    return MASK if RANDOM.fullmatch(name) else name


def _parameters(text: str) -> str:
    """Mask the values of parameters that bear the name of a secret, up to where the next parameter begins."""
    parts, at = [], 0
    while match := PARAMETER.search(text, at):
        begin = match.end()
        if not _is_secret(match[2]):
            parts.append(text[at:begin])
            at = begin
            continue
        following = NEXT.search(text, begin)
        parts.append(text[at:begin] + MASK)
        at = following.start() if following else len(text)
    return "".join(parts) + text[at:]


def _keywords(text: str) -> str:
    """Mask the values of keywords that bear the name of a secret, as libpq has them."""

    def value(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}{match[3]}{MASK}" if _is_secret(match[2]) else match[0]

    return KEYWORD.sub(value, text)


def _is_secret(name: str) -> bool:
    for _ in range(MOST_DECODED):
        name = unquote(name)
    bare = re.sub(r"[^a-z0-9]", "", name.lower())
    return bare in SECRET_NAMES or (bare.endswith(SECRET_ENDINGS) and bare not in PLAIN_NAMES)


def _secrets(url: str) -> set[str]:
    """Return what must not be seen of an address, as it stands there and decoded, in one piece and in its parts."""
    secrets: set[str] = set()
    for _ in range(MOST_DECODED):
        secrets |= _taken_out(url, _masked(url))
        url = unquote(url)
    secrets |= {unquote(secret) for secret in secrets} | {secret.strip("'\"") for secret in secrets}
    secrets |= {part for secret in secrets for part in re.split(r"[@/:?&#_'\"\s]", secret) if len(part) > SHORTEST}
    return {secret for secret in secrets if len(secret) >= SHORTEST}


def _taken_out(text: str, masked: str) -> set[str]:
    """Return what stood where a masked text has asterisks."""
    before, *pieces = masked.split(MASK)
    taken: set[str] = set()
    at = len(before)
    for number, piece in enumerate(pieces, 1):
        end = len(text) - len(piece) if number == len(pieces) else text.find(piece, at)
        taken.add(text[at:end])
        at = end + len(piece)
    return taken
