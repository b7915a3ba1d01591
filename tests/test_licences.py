"""What Mien installs, and under which licences: all have been considered, and none asks for more than it may."""

from __future__ import annotations

import re
from importlib import metadata

from packaging.requirements import Requirement

EXTRAS = ("", "analyze", "pandas", "dashboard", "postgres", "bigquery", "lsl", "rawpy", "s3", "screen")
EXTRAS += ("tensorboard", "train", "wandb", "all")

CONSIDERED = re.compile(
    r"MIT|BSD|Apache|ISC\b|Python Software Foundation|PSF|MPL|Mozilla Public|Zlib|0BSD|HPND|Unlicense|LGPL|"
    r"Lesser General Public|CC0|Public Domain|Historical Permission|NVIDIA",
    re.IGNORECASE,
)
"""LGPL (psycopg) is used as a library that anybody can exchange; NVIDIA's libraries come with some builds of torch."""

TOLD_ELSEWHERE = {"docutils": "Public Domain; BSD"}
"""What packages' own files say where the metadata say less, or more: the GPL is that of docutils's Emacs mode alone."""


def installed() -> dict[str, metadata.Distribution]:
    """Return what Mien and its extras require, all the way down, as far as it is installed here."""
    found: dict[str, metadata.Distribution] = {}
    todo = [("mien", extra) for extra in EXTRAS]
    seen = set(todo)
    while todo:
        name, extra = todo.pop()
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for text in found[name].requires or []:
            wanted = Requirement(text)
            if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
                continue
            for part in ("", *wanted.extras):
                if (one := (wanted.name, part)) not in seen:
                    seen.add(one)
                    todo.append(one)
    return found


def licence(package: metadata.Distribution) -> str:
    """Return what the package's metadata say: expression, classifiers, or the first line of the free text."""
    told = package.metadata
    if expression := told.get("License-Expression"):
        return str(expression)
    classifiers = [text.rpartition("::")[2].strip() for text in told.get_all("Classifier") or [] if "License" in text]
    free = str(told.get("License") or "").strip().partition("\n")[0]
    return "; ".join(text for text in (*classifiers, free) if text)


def test_every_licence_was_considered() -> None:
    licences = {name: TOLD_ELSEWHERE.get(name, licence(package)) for name, package in installed().items()}
    assert len(licences) > 40
    unknown = {name: told for name, told in licences.items() if not CONSIDERED.search(told)}
    assert not unknown, f"licences that were not considered: {unknown}"
    strong = {
        name: told
        for name, told in licences.items()
        if re.search(r"\bA?GPL|Affero|General Public License", told) and not re.search("Lesser|LGPL| OR ", told)
    }
    assert not strong, f"licences that would bind Mien: {strong}"
