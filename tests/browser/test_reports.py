"""The page Reports: a clip is sent, a report made of it, followed, opened and deleted; another is cancelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import av
import cv2
import pytest
from feeding import until
from playwright.sync_api import Page, expect
from serving import dashboard
from visits import Visit, keep, serious

from meetings import SIZES, Meeting, Person
from mien.media.demo import PORTRAIT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A dashboard's address, and a folder with clip.mp4, long.mp4 and damaged.mp4."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "home").mkdir()
    write(folder / "clip.mp4", 100)
    write(folder / "long.mp4", 6000)
    (folder / "damaged.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:200])
    with dashboard(folder / "home") as address:
        yield address, folder
    assert list((folder / "home" / "reports").glob("uploads/*")) == []


def write(path: Path, frames: int) -> None:
    """Write a video of the demo's portrait, ten frames a second."""
    image = cv2.resize(cv2.imread(str(PORTRAIT)), (320, 288))
    with av.open(path, "w") as video:
        stream = video.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 288, "yuv420p"
        for _ in range(frames):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        video.mux(stream.encode(None))


def make(page: Page, *files: Path) -> None:
    page.locator("#report-files").set_input_files(files)
    page.get_by_role("button", name="Make the report").click()


def test_a_report_is_made_opened_and_downloaded(place: tuple[str, Path], visit: Open) -> None:
    address, folder = place
    page = visit(f"{address}/reports").page
    expect(page.locator("#ended")).to_contain_text("None yet")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Above the usual face of").fill("3")
    make(page, folder / "clip.mp4")
    expect(page.locator("#report-said")).to_contain_text("under way")
    done = page.locator("#ended li.done")
    expect(done.locator("h3")).to_have_text("How happy is clip?")
    expect(page.locator("#under-way li")).to_have_count(0)
    with page.expect_popup() as opened:
        done.get_by_role("link", name="Open").click()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text("How happy is clip?")
    expect(opened.value.get_by_role("heading", name="Above the usual face")).to_be_visible()
    expect(opened.value.locator("svg").first).to_be_visible()
    assert opened.value.evaluate("self.origin") == "null"
    width = opened.value.locator("main").evaluate("main => getComputedStyle(main).maxWidth")
    assert width == "1060px", "its style is let through"
    opened.value.close()
    with page.expect_download() as data:
        done.get_by_role("link", name="Data").click()
    assert data.value.suggested_filename == "film.zip"
    expect(done.locator("img.thumb")).to_have_js_property("complete", value=True)
    done.get_by_role("link", name="Watch").click()
    page.locator("#file").set_input_files(folder / "clip.mp4")
    page.locator("#moments button").first.click()
    expect(page.locator("#now-bars p")).to_have_count(7)
    expect(page.locator("#film")).to_be_visible()
    page.locator("[data-curve]").press("End")
    while page.evaluate("document.getElementById('film').currentTime") <= 9:  # wait_for_function would need eval
        page.wait_for_timeout(50)
    expect(page.locator("[data-clock]")).to_have_text("0:10 / 0:10")


def test_an_example_is_made_at_a_click_and_files_are_dropped_into_the_form(
    place: tuple[str, Path], visit: Open
) -> None:
    page = visit(f"{place[0]}/reports").page
    page.get_by_role("button", name="Meeting").click()
    drop = "names => { const data = new DataTransfer(); names.forEach(n => data.items.add(new File(['x'], n)));"
    drop += " document.dispatchEvent(new DragEvent('drop', { dataTransfer: data })); }"
    page.evaluate(drop, ["call.vtt", "call.mp4"])
    names = "name => [...document.getElementById('report').elements[name].files].map(file => file.name)"
    assert page.evaluate(names, "transcript") == ["call.vtt"]
    assert page.evaluate(names, "files") == ["call.mp4"]
    page.get_by_role("button", name="Album").click()
    page.get_by_role("button", name="See an example").click()
    done = page.locator("#ended li", has_text="The best photos")
    with page.expect_download() as best:
        done.get_by_role("link", name="Download the best").click()
    assert best.value.suggested_filename == "best.zip"
    done.get_by_role("button", name="Delete").click()
    expect(done).to_have_count(0)


def test_a_long_one_tells_how_far_it_is_and_is_cancelled_and_the_other_deleted(
    place: tuple[str, Path], visit: Open, screenshots: Path | None
) -> None:
    address, folder = place
    page = visit(f"{address}/reports").page
    make(page, folder / "long.mp4")
    row = page.locator("#under-way li")
    expect(row.locator(".said")).to_have_text(re.compile(r"^Analysing long\.mp4: \d+\u202f% · about .+ left$"))
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"^\d+$"))
    if screenshots:
        pictures(page, folder, screenshots)
    row.first.get_by_role("button", name="Cancel").click()
    expect(page.locator("#ended li.stopped")).to_contain_text("the report was stopped")
    done = page.locator("#ended li.done")
    done.get_by_role("button", name="Delete").click()
    expect(done).to_have_count(0)


def pictures(page: Page, folder: Path, screenshots: Path) -> None:
    """Keep pictures of the page with something on it, in light and dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.locator(f":root[data-theme={scheme}]").wait_for()
        keep(page, screenshots / f"reports{'-dark' * (scheme == 'dark')}.webp", folder)
    page.reload()


def test_a_damaged_upload_gives_one_line(place: tuple[str, Path], visit: Open) -> None:
    address, folder = place
    page = visit(f"{address}/reports").page
    make(page, folder / "damaged.mp4")
    failed = page.locator("#ended li.failed")
    expect(failed).to_contain_text("damaged.mp4")
    failed.get_by_role("button", name="Dismiss").click()
    expect(failed).to_have_count(0)
    page.get_by_role("button", name="Make the report").click()
    expect(page.locator("#report-said")).to_have_text("Choose at least one file.")


def test_an_album_is_asked_for_open_eyes_and_by_taste(place: tuple[str, Path], visit: Open) -> None:
    address, folder = place
    for name in ("a.jpg", "liked.jpg"):
        (folder / name).write_bytes(PORTRAIT.read_bytes())
    page = visit(f"{address}/reports").page
    page.get_by_role("button", name="Album").click()
    page.get_by_label("All eyes open").check()
    page.locator("details.more summary").click()
    expect(page.get_by_label("Looks a second")).to_be_hidden()
    page.get_by_label("Photos that you chose before").set_input_files(folder / "liked.jpg")
    make(page, folder / "a.jpg")
    done = page.locator("#ended li.done")
    expect(done).to_contain_text("Album")
    with page.expect_popup() as opened:
        done.get_by_role("link", name="Open").click()
    expect(opened.value.locator("body")).to_contain_text("Only those on which all eyes are open")
    expect(opened.value.get_by_role("heading", name="Your taste")).to_be_visible()
    opened.value.close()
    done.get_by_role("button", name="Delete").click()
    expect(done).to_have_count(0)


STATES = "fetch('/api/v1/reports').then(answer => answer.json()).then(all => all.map(report => report.state))"


def test_names_read_off_a_meeting_are_corrected_in_their_form(place: tuple[str, Path], visit: Open) -> None:
    address, folder = place
    meeting = Meeting(
        [Person("Ann Lee"), Person("Bob Marsh")], SIZES["360p"], seconds=3, fps=4, turns=[(0.2, 1.4, 0), (1.6, 2.8, 1)]
    )
    visited = visit(f"{address}/reports")
    page = visited.page
    page.get_by_role("button", name="Meeting").click()
    page.locator("#report [name=transcript]").set_input_files(meeting.transcript(folder / "call.vtt"))
    make(page, meeting.write(folder / "call.mp4"))
    done, form = page.locator("#ended li.done"), page.get_by_role("dialog", name="Who is where?")
    done.get_by_role("button", name="Check the names").click()
    names = form.get_by_role("combobox")
    expect(names).to_have_count(2)
    assert sorted(names.nth(at).input_value() for at in (0, 1)) == ["Ann Lee", "Bob Marsh"]
    assert serious(page) == []
    form.get_by_role("button", name="Leave it as it is").click()
    expect(form).to_be_hidden()
    done.get_by_role("button", name="Check the names").click()
    for at in (0, 1):
        names.nth(at).fill("")
    form.get_by_role("button", name="Make the report with these names").click()
    expect(form.get_by_role("status")).to_contain_text("no row has a name")
    visited.errors.clear()  # the browser reports the answer 422
    names.first.fill("Bob Marsh")
    form.get_by_role("button", name="Make the report with these names").click()
    expect(form).to_be_hidden()
    expect(page.locator("#report-said")).to_contain_text("made again")
    until(lambda: set(page.evaluate(STATES)) <= {"done", "stopped"})  # that of an earlier test was stopped
    done.get_by_role("button", name="Check the names").click()
    expect(names).to_have_count(1)
    expect(names).to_have_value("Bob Marsh")
    expect(form.locator("tbody tr")).to_contain_text("hand")
    form.get_by_role("button", name="Leave it as it is").click()
    done.get_by_role("button", name="Delete").click()
    expect(done).to_have_count(0)


def test_several_recordings_of_a_meeting_are_laid_on_one_time_line_and_a_part_is_taken(
    place: tuple[str, Path], visit: Open
) -> None:
    address, folder = place
    begin = datetime(2026, 4, 8, 14, 36, 20)  # noqa: DTZ001 - a clock in a picture tells no zone
    people = [Person("Ann Lee"), Person("Bob Marsh")]
    drawn = {"fps": 4, "turns": [(0.4, 5.0, 0), (9.0, 14.0, 1)], "seconds": 16}
    meeting = Meeting(people, SIZES["360p"], clock=begin, **drawn)  # type: ignore[arg-type]
    parts = [meeting.write(folder / f"part-{n}.mp4", *span) for n, span in enumerate(((0, 7), (8, 16)), 1)]
    page = visit(f"{address}/reports").page
    expect(page.get_by_label("From", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Meeting").click()
    page.get_by_label("From", exact=True).fill("2026-04-08T14:36:26")
    page.get_by_label("Transcript", exact=True).set_input_files(meeting.transcript(folder / "parts.vtt"))
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Seconds to add to the transcript").fill("0")
    page.get_by_label("Looks a second").fill("4")
    make(page, *parts)
    done = page.locator("#ended li.done")
    with page.expect_popup() as opened:
        done.get_by_role("link", name="Open").click()
    body = opened.value.locator("body")
    expect(body).to_contain_text("'part-2' was laid to 'part-1' by the clocks in both pictures")
    expect(body).to_contain_text("begins on 08 April 2026 at 14:36:26")
    opened.value.close()
    figures = page.evaluate(FIGURES)
    assert figures["tables"]["utterances"]["rows"] == 1, "what was said before is left out"
    first, second = figures["asked"]["recordings"]
    assert (second["recording"], second["by"]) == ("part-2", "clock")
    assert -7 < first["begins_s"] < -5
    assert 7 < second["begins_s"] - first["begins_s"] < 9
    done.get_by_role("button", name="Delete").click()
    expect(done).to_have_count(0)


FIGURES = (
    "fetch('/api/v1/reports').then(answer => answer.json()).then(([made]) => "
    "fetch(made.files.find(file => file.endsWith('.json')))).then(file => file.json())"
)
