"""The transcript with what the faces showed: utterances go in; WebVTT with notes, Markdown and a Word file come out.

The Word file holds paragraphs alone, in the smallest form that the standard (ECMA-376) allows.
"""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Sequence

from mien.charts.svg import clock
from mien.observation import EMOTIONS
from mien.reports.meeting.figures import MeanExpression, UtteranceFigures

__all__ = ["as_docx", "as_markdown", "as_vtt", "most"]

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
TYPES = (
    f'{HEAD}<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{MAIN}"/></Types>'
)
RELATIONS = (
    f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}" Target="word/document.xml"/></Relationships>'
)
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

PLAIN = ""
LARGE = '<w:b/><w:sz w:val="36"/>'
BOLD = "<w:b/>"
SOFT = '<w:i/><w:color w:val="5D6876"/><w:sz w:val="19"/>'


def as_vtt(utterances: Sequence[UtteranceFigures]) -> str:
    """Return the transcript as WebVTT at the recording's times, with what the faces showed as notes."""
    parts = ["WEBVTT", "NOTE Made by Mien: the notes tell how faces looked, not what anybody felt."]
    for number, figures in enumerate(utterances, 1):
        of = figures.utterance
        voice = f"<v {html.escape(of.speaker, quote=False)}>" if of.speaker else ""
        parts.append(f"NOTE {_in_words(figures)}")
        text = html.escape(of.text, quote=False)
        parts.append(f"{number}\n{_stamp(of.start)} --> {_stamp(max(of.end, of.start + 0.001))}\n{voice}{text}")
    return "\n\n".join(parts) + "\n"


def as_markdown(title: str, utterances: Sequence[UtteranceFigures], notices: Sequence[str]) -> str:
    """Return the transcript as Markdown, what must be read first above it."""
    lines = [f"# {title}", "", "\n>\n".join(f"> {notice}" for notice in notices), ""]
    for figures in utterances:
        of = figures.utterance
        name = f"**{of.speaker}** " if of.speaker else ""
        lines += [f"{name}({clock(of.start)}) {of.text}", f"*{_in_words(figures)}*", ""]
    return "\n".join(lines)


def as_docx(title: str, utterances: Sequence[UtteranceFigures], notices: Sequence[str]) -> bytes:
    """Return the transcript as a Word file, what must be read first above it."""
    paragraphs = [_paragraph((title, LARGE)), *(_paragraph((notice, SOFT)) for notice in notices)]
    for figures in utterances:
        of = figures.utterance
        name = f"{of.speaker} " if of.speaker else ""
        paragraphs.append(_paragraph((name, BOLD), (f"({clock(of.start)}) ", SOFT), (of.text, PLAIN)))
        paragraphs.append(_paragraph((_in_words(figures), SOFT)))
    body = "".join(paragraphs)
    document = f'{HEAD}<w:document xmlns:w="{WORD}"><w:body>{body}<w:sectPr/></w:body></w:document>'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in (
            ("[Content_Types].xml", TYPES),
            ("_rels/.rels", RELATIONS),
            ("word/document.xml", document),
        ):
            archive.writestr(name, part)
    return packed.getvalue()


def most(look: MeanExpression | None) -> str:
    """Return the emotion that a look shows most, in words."""
    if look is None or look.shares is None or look.emotion is None:
        return "–"
    return f"{look.emotion}\u00a0{100 * max(look.shares):.0f}\u00a0%"


def _paragraph(*runs: tuple[str, str]) -> str:
    """Return a paragraph of texts, each with its looks."""
    body = "".join(
        f'<w:r><w:rPr>{looks}</w:rPr><w:t xml:space="preserve">{html.escape(NOT_XML.sub(" ", text))}</w:t></w:r>'
        for text, looks in runs
        if text
    )
    return f"<w:p>{body}</w:p>"


def _in_words(figures: UtteranceFigures) -> str:
    if figures.room.shares is None:
        return "too few faces to say"
    named = sorted(zip(EMOTIONS, figures.room.shares, strict=True), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {100 * share:.0f} %" for name, share in named[:3] if share >= 0.05)
    own = f"; the speaker: {most(figures.speaker)}" if figures.speaker and figures.speaker.shares else ""
    return f"faces: {shown}{own}{'; words and faces disagree' if figures.disagrees else ''}"


def _stamp(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d}.{whole % 1000:03d}"
