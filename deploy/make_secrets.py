"""Make the secrets that deploy/compose.yaml mounts: `python3 deploy/make_secrets.py [FOLDER]`, once.

Nothing goes in; out come, in a folder that its owner alone may enter, an authority and a certificate for the broker,
mosquitto's password file, PostgreSQL's password, and for each role a mien.toml with its user, password and store.
The files themselves are readable, because each container reads its own under another user.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import subprocess
import sys
from pathlib import Path

DAYS = "3650"
ROUNDS = 101
"""What mosquitto_passwd does by default; the passwords are random, so more would guard nothing."""


def main(folder: Path, names: str = "broker,localhost", source: str = "lobby") -> None:
    """Write everything, or nothing where the folder is already there."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        sys.exit(f"'{folder}' is already there: its secrets are in use; move it away to make new ones")
    certificates(folder, names)
    users = {name: secrets.token_urlsafe(24) for name in (source, "forwarder", "reader")}
    write(folder / "passwords", "".join(f"{name}:{digest(password)}\n" for name, password in users.items()))
    database = secrets.token_urlsafe(24)
    write(folder / "postgres", database)
    store = f'\n[store]\nurl = "postgresql://mien:{database}@database/mien"\n'
    for role, user, more in (("watch", source, ""), ("forward", "forwarder", store), ("dashboard", "reader", store)):
        write(folder / f"{role}.toml", f'[broker]\nusername = "{user}"\npassword = "{users[user]}"\n{more}')


def certificates(folder: Path, names: str) -> None:
    """Make an authority, and by it the broker's certificate for these names; the authority's key is not kept."""
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Mien deployment"]
    run([*new, "-days", DAYS, *authority], folder)
    alternatives = ",".join(f"DNS:{name}" for name in names.split(","))
    extensions = ["-addext", f"subjectAltName={alternatives}", "-addext", "basicConstraints=critical,CA:FALSE"]
    server = ["-keyout", "server.key", "-out", "server.crt", "-subj", "/CN=broker", "-CA", "ca.crt", "-CAkey", "ca.key"]
    run([*new, "-days", DAYS, *server, *extensions], folder)
    (folder / "ca.key").unlink()
    for name in ("ca.crt", "server.crt", "server.key"):
        (folder / name).chmod(0o644)


def run(command: list[str], folder: Path) -> None:
    """Run a program, and end with what it says where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])} failed, and '{folder}' is incomplete: {done.stderr.strip()}")


def digest(password: str) -> str:
    """Return a password as mosquitto's password file has it: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def write(file: Path, text: str) -> None:
    """Write a file that a container's user may read."""
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("secrets"), *sys.argv[2:])
