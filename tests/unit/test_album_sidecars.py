"""XMP sidecars: what exiftool reads in them, that everything else in them stays, and that nothing else is written."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFilter

from mien.config import Settings, checked
from mien.errors import InputError, MienError, UsageError
from mien.media.demo import PORTRAIT
from mien.reports.album.report import AlbumRequest, report_album
from mien.reports.album.sidecars import sidecars_of, write_sidecars
from mien.reports.album.xmp import Rating, renewed
from mien.reports.base.job import Job
from programs import program

GOOD = Rating(4, False, ("happy", "all eyes open"))
LOST = Rating(3, True, ("happy",))

# As programs write it: Windows line ends, other prefixes, both quotes, values that look like markup, a raw BOM.
FOREIGN = (
    b"\xef\xbb\xbf<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><!-- kept -->\r\n"
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\r\n'
    b' <r:Description r:about="uuid:7" xmlns:x2="http://ns.adobe.com/xap/1.0/" xmlns:dt="http://darktable.sf.net/"\r\n'
    b"   xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:lr=\"http://ns.adobe.com/lightroom/1.0/\"\r\n"
    b"   dt:note=\"a &#10; x2:Rating = '9' > b\" x2:Rating='0' x2:Label=\"Red\">\r\n"
    b"  <dc:subject><r:Bag><r:li>beach</r:li><r:li>&lt;caf\xc3\xa9&gt;</r:li></r:Bag></dc:subject>\r\n"
    b"  <lr:hierarchicalSubject><r:Bag><r:li>place|beach</r:li></r:Bag></lr:hierarchicalSubject>\r\n"
    b"  <dt:history><r:Seq><r:li dt:params=\"gz08eJxj\" dt:on='1'/></r:Seq></dt:history>\r\n"
    b" </r:Description></r:RDF></x:xmpmeta><?xpacket end='w'?>  \r\n"
)

PUZZLE = b"x2:Rating = '9' > b"
"""What exiftool takes for a rating and the end of a tag, though it stands in a value; with the mark of three bytes in
front it also takes the text as encoded twice."""


def read(path: Path) -> dict[str, Any]:
    """Return what exiftool reads in a sidecar."""
    command = [program("exiftool"), "-json", "-G1", "-struct", "-XMP:all", str(path)]
    (tags,) = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {name: value for name, value in tags.items() if name.startswith("XMP-")}


def test_exiftool_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    path.write_bytes(renewed(None, GOOD)[0])
    tags = read(path)
    assert tags["XMP-xmp:Rating"] == 4
    for name in ("XMP-dc:Subject", "XMP-lr:HierarchicalSubject", "XMP-digiKam:TagsList"):
        assert tags[name] == ["happy", "all eyes open"]
    assert not any(name.endswith((":Pick", ":Good", ":PickLabel")) for name in tags if "mien" not in name)
    path.write_bytes(renewed(path.read_bytes(), LOST)[0])
    tags = read(path)
    assert (tags["XMP-xmp:Rating"], tags["XMP-digiKam:PickLabel"], tags["XMP-xmpDM:Good"]) == (-1, 1, False)
    assert tags["XMP-xmpDM:Pick"] == -1
    assert tags["XMP-dc:Subject"] == ["happy"]
    path.write_bytes(renewed(path.read_bytes(), GOOD)[0])
    assert read(path)["XMP-xmp:Rating"] == 4
    assert "XMP-digiKam:PickLabel" not in read(path)


def test_a_sidecar_keeps_everything_else(tmp_path: Path) -> None:
    content, kept = renewed(FOREIGN, GOOD)
    assert not kept  # a rating of 0 means that it is unrated
    assert renewed(content, GOOD) == (content, False)
    gone = content
    for old, new in ((b'x2:Rating="4"', b"x2:Rating='0'"), (b"<r:li>happy</r:li><r:li>all eyes open</r:li>", b"")):
        assert old in gone
        gone = gone.replace(old, new)
    start = gone.index(b"\n  <rdf:Description")
    end = gone.index(b"</rdf:Description>") + len(b"</rdf:Description>")
    assert gone[:start] + gone[end:] == FOREIGN
    (tmp_path / "a.xmp").write_bytes(content.replace(PUZZLE, b"")[3:])
    tags = read(tmp_path / "a.xmp")
    assert tags["XMP-xmp:Rating"] == 4
    assert tags["XMP-xmp:Label"] == "Red"
    assert tags["XMP-dc:Subject"] == ["beach", "<café>", "happy", "all eyes open"]
    # Programs that prefer a list which was not there yet find in it what stood in the others.
    assert tags["XMP-digiKam:TagsList"] == ["place/beach", "happy", "all eyes open"]
    again, _ = renewed(content, Rating(2, False, ("sad",)))
    (tmp_path / "a.xmp").write_bytes(again.replace(PUZZLE, b"")[3:])
    assert read(tmp_path / "a.xmp")["XMP-dc:Subject"] == ["beach", "<café>", "sad"]


def test_what_somebody_else_gave_stays_unless_it_is_to_be_replaced() -> None:
    for mark in ('xmp:Rating="2"', 'digiKam:PickLabel="3"', 'xmpDM:pick="1"'):
        there = renewed(None, Rating())[0].replace(
            b" </rdf:RDF>",
            f'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:digiKam="http://www.digikam.org/ns/1.0/" '
            f'xmlns:xmpDM="http://ns.adobe.com/xmp/1.0/DynamicMedia/" rdf:about="" {mark}/> </rdf:RDF>'.encode(),
        )
        content, kept = renewed(there, LOST)
        assert kept
        assert mark.encode() in content
        assert content.count(b"Rating=") == there.count(b"Rating=")
        assert b"<rdf:li>happy</rdf:li>" in content
        content, kept = renewed(there, LOST, replace=True)
        assert not kept
        assert b'xmp:Rating="-1"' in content
    first, _ = renewed(None, GOOD)
    changed = first.replace(b'xmp:Rating="4"', b'xmp:Rating="5"', 1)  # by hand, after Mien
    assert renewed(changed, LOST)[1]
    theirs, _ = renewed(None, Rating(3, False, ("happy",)))
    theirs = theirs.replace(b'mien:Keywords="happy"', b"")
    assert renewed(theirs, Rating(3))[0].count(b"happy") == 3  # a keyword of their own


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (BOMB.encode() + FOREIGN[FOREIGN.index(b"<x:xmpmeta") :], "document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + FOREIGN[FOREIGN.index(b"<x:") :], "document type"),
        (b"", "well-formed"),
        (FOREIGN[:300], "well-formed"),
        (FOREIGN.decode().encode("latin-1", "replace"), "UTF-8"),
        (b'<?xml version="1.0" encoding="latin-1"?>' + FOREIGN[FOREIGN.index(b"<x:") :], "UTF-8"),
        (b"<svg/>", "RDF"),
        (b"<a>" * 5000, "deep"),
        (FOREIGN + b" " * (17 << 20), "larger"),
        (FOREIGN.replace(b"<r:Bag><r:li>beach", b"<r:li>beach").replace(b"</r:Bag></dc", b"</dc"), "dc:subject"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        renewed(content, GOOD)
    photo, path = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    photo.write_bytes(b"photo")
    path.write_bytes(content)
    written = write_sidecars({photo: GOOD}, Job())
    assert (written.sidecars, len(written.failed)) == (0, 1)
    assert path.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == [photo, path]


def test_a_sidecar_has_the_name_that_programs_look_for() -> None:
    def names(photo: str, *others: str) -> list[str]:
        return [path.name for path in sidecars_of(Path(photo), frozenset((photo, *others)))]

    assert names("a.jpg") == ["a.jpg.xmp"]
    assert names("a.jpg", "a.xmp") == ["a.xmp"]
    assert names("a.JPG", "A.jpg.XMP") == ["A.jpg.XMP"]
    assert names("a.jpg", "a.xmp", "a.png") == ["a.jpg.xmp"]  # whose it is cannot be told
    assert names("a.nef") == ["a.nef.xmp", "a.xmp"]
    assert names("a.nef", "a.jpg", "a.xmp") == ["a.xmp"]
    assert names("a.jpg", "a.nef", "a.xmp") == ["a.jpg.xmp"]
    assert names("a.nef", "a.dng") == ["a.nef.xmp"]


def test_links_folders_and_hostile_names(tmp_path: Path) -> None:
    photos = [tmp_path / name for name in ("link.jpg", "folder.jpg", "odd\n<&>\udcff\"'.jpg", "x" * 251 + ".jpg")]
    for photo in photos:
        photo.write_bytes(b"photo")
    (tmp_path / "link.jpg.xmp").symlink_to(photos[0])
    (tmp_path / "folder.jpg.xmp").mkdir()
    written = write_sidecars(dict.fromkeys(photos, GOOD), Job())
    assert (written.sidecars, len(written.failed)) == (1, 3)
    assert (tmp_path / "odd\n<&>\udcff\"'.jpg.xmp").is_file()
    assert all("\n" not in line and line.encode() for line in written.failed)
    assert all(photo.read_bytes() == b"photo" for photo in photos)
    assert not list(tmp_path.glob(".mien-*"))


def test_a_folder_that_is_read_only(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.jpg").write_bytes(PORTRAIT.read_bytes())
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)  # root may write everywhere
        try:
            written = write_sidecars({folder / "a.jpg": GOOD}, Job())
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
        assert written.sidecars == 0
        assert "denied" in written.failed[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return checked({"home": tmp_path / "home"}, "the test")


def test_an_album_writes_sidecars_and_no_photo(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "album"
    folder.mkdir()
    sharp = Image.open(PORTRAIT).convert("RGB")
    sharp.save(folder / "sharp.jpg", quality=95)
    sharp.filter(ImageFilter.GaussianBlur(6)).save(folder / "blurred.jpg")
    Image.new("RGB", (300, 200), "green").save(folder / "lawn.png")
    (folder / "blurred.jpg.xmp").write_bytes(FOREIGN.replace(PUZZLE, b""))
    before = {file: file.read_bytes() for file in folder.iterdir() if file.suffix != ".xmp"}
    with pytest.raises(UsageError, match="xmp-replace"):
        report_album(AlbumRequest((folder,), xmp_replace=True), settings)
    table = report_album(AlbumRequest((folder,), xmp=True), settings).data[0].table
    assert {file: file.read_bytes() for file in before} == before
    assert sorted(file.name for file in folder.glob("*.xmp")) == ["blurred.jpg.xmp", "sharp.jpg.xmp"]
    stars = {Path(row["file"]).name: row["stars"] for row in table.iter_rows(named=True)}
    assert read(folder / "sharp.jpg.xmp")["XMP-xmp:Rating"] == stars["sharp.jpg"]
    lost = read(folder / "blurred.jpg.xmp")
    assert (lost["XMP-xmp:Rating"], lost["XMP-xmp:Label"]) == (-1, "Red")
    sidecars = {file: file.read_bytes() for file in folder.glob("*.xmp")}
    again = report_album(AlbumRequest((folder,), xmp=True), settings)
    assert {file: file.read_bytes() for file in folder.glob("*.xmp")} == sidecars
    assert not [note for note in again.notes if "neither photo" in note]  # sidecars are missed by nobody
    for file in sidecars:
        file.write_bytes(b"broken")
    with pytest.raises(MienError, match="no sidecar was written"):
        report_album(AlbumRequest((folder,), xmp=True), settings)
