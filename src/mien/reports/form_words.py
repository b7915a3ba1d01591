"""The words of a report that was asked for by a form: options of the command become the fields that stand for them."""

from __future__ import annotations

import re
from dataclasses import replace

from mien.reports.base.parts import Part, Section
from mien.reports.base.report import Report

__all__ = ["FIELDS", "as_asked_by_form", "in_form_words"]

FIELDS = {
    "--anonymous": "“Only aggregates”",
    "--k": "“People at least”",
    "--blur": "“Hide the faces in pictures”",
    "--consent": "“Consent: who agreed, and when”",
    "--speakers": "“Which face is whose (CSV)”",
    "--cast": "“Cast (CSV)”",
    "--calibrate": "“Above the usual face of”",
    "--lexicon": "“Words and how pleasant they are (CSV)”",
    "--offset": "“Seconds to add to the transcript”",
    "--export": "“Also for other tools”",
    "--seats": "“Seats and groups (CSV)”",
    "--events": "“What they watched”",
    "--source": "“Sources”",
    "--from": "“From”",
    "--to": "“To”",
    "--fps": "“Looks a second”",
    "--ocr-model": "`mien report meeting --ocr-model`",
}
"""What the page Reports calls what the command has as an option; what it has no field for is named as the command's."""

OPTION = re.compile("|".join(rf"(?<!`mien report meeting ){option}(?![\w-])" for option in FIELDS))


def in_form_words(text: str) -> str:
    """Return a line in which options are named as the form's fields."""
    return OPTION.sub(lambda found: FIELDS[found[0]], text)


def as_asked_by_form(report: Report) -> Report:
    """Return a report whose own words name fields, not options; what was said in a recording stays as it is."""
    sections = [Section(part.title, [_part(piece) for piece in part.parts]) for part in report.sections]
    return replace(
        report,
        lead=in_form_words(report.lead),
        facts=[replace(fact, detail=in_form_words(fact.detail)) for fact in report.facts],
        sections=sections,
        notes=[in_form_words(note) for note in report.notes],
        notices=[in_form_words(notice) for notice in report.notices],
        definitions=[(term, in_form_words(meaning)) for term, meaning in report.definitions],
    )


def _part(part: Part) -> Part:
    """Return a part of a page with its text and captions so; cells hold what others wrote."""
    if isinstance(part, str):
        return in_form_words(part)
    return replace(part, caption=in_form_words(part.caption))
