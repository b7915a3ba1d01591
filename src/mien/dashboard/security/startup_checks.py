"""What is checked before the dashboard opens: that strangers cannot come in, and that its certificate can be used."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

from mien.config import Settings
from mien.dashboard.security.accounts import Access, entries
from mien.dashboard.security.guard import is_loopback
from mien.errors import ConfigError

__all__ = ["checked_access", "tls_options"]

log = logging.getLogger(__name__)


def checked_access(settings: Settings) -> Access:
    """Return who may come in, and say who need not log in.

    Raises:
        ConfigError: Other machines may come, but nobody has access; or the file that says who has cannot be used.
    """
    of = settings.dashboard
    known = entries(settings.home)
    make = "make it with `mien access password NAME` or `mien access token NAME`"
    if not is_loopback(of.host) and not known:
        raise ConfigError(
            f"the dashboard is to listen on {of.host}, where other machines reach it, but nobody has access: {make}, "
            "or listen on 127.0.0.1"
        )
    if of.trusted_proxies and not known:
        raise ConfigError(f"dashboard.trusted_proxies lets others come, but nobody has access: {make}")
    if of.login and not known:
        raise ConfigError(f"dashboard.login asks for a login, but nobody has access: {make}")
    if is_loopback(of.host) and not of.login:
        but = ", but for trusted proxies" if of.trusted_proxies else ""
        log.info("everybody on this machine may use the dashboard without a login%s; dashboard.login asks for one", but)
    elif not is_loopback(of.host) and of.tls_cert is None and not of.trusted_proxies:
        log.warning("passwords and tokens cross the network in the clear: use --tls-cert, or a proxy that speaks HTTPS")
    return Access(settings.home)


def tls_options(settings: Settings) -> dict[str, Any]:
    """Return the server's options for HTTPS; empty for HTTP.

    Raises:
        ConfigError: Certificate and key cannot be read, or do not belong together.
    """
    certificate, key = settings.dashboard.tls_cert, settings.dashboard.tls_key
    if certificate is None and key is None:
        return {}
    if certificate is None:
        raise ConfigError("dashboard.tls_key is set without dashboard.tls_cert: name the certificate too")
    for path in (certificate, key):
        if path is not None:
            _check_readable(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        reason = (
            "the key is encrypted" if isinstance(error, ValueError) else getattr(error, "reason", None) or str(error)
        )
        both = f"the certificate '{certificate}'" + (f" and the key '{key}'" if key else ", in which no key is named")
        raise ConfigError(
            f"cannot serve HTTPS with {both} ({reason}): expected PEM files that belong together, the key not encrypted"
        ) from error
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(key) if key else None}


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"cannot read '{path}' for HTTPS: {(error.strerror or str(error)).lower()}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")
