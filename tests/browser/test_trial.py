"""The page Try it: the browser's camera, a photo and a video, with the demo clip's face in each."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import pytest
from feeding import until
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from serving import ARGS, dashboard
from visits import Visit, keep

import mien
from mien.charts.svg import SHOWN
from mien.media.base import Image
from mien.media.open import open_source

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo clip's first seconds as camera.mjpeg, photo.jpg, video.mp4, and hevc.mp4."""
    folder = tmp_path_factory.mktemp("media")
    with open_source("demo") as source:
        images = [frame.image for frame in islice(source, 45)]
    pictures = [cv2.imencode(".jpg", image)[1].tobytes() for image in images]
    (folder / "camera.mjpeg").write_bytes(b"".join(pictures))
    (folder / "photo.jpg").write_bytes(pictures[0])
    write(folder / "video.mp4", images, "libx264")
    write(folder / "hevc.mp4", images[:10], "libx265")
    return folder


def write(path: Path, images: list[Image], codec: str) -> None:
    with av.open(path, "w") as video:
        height, width = images[0].shape[:2]
        stream = video.add_stream(codec, rate=15, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in images:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        video.mux(stream.encode(None))


@pytest.fixture(scope="module")
def browser(chromium: str, media: Path) -> Iterator[Browser]:
    camera = [
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={media / 'camera.mjpeg'}",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        expect.set_options(timeout=90_000)
        running = playwright.chromium.launch(executable_path=chromium, args=ARGS + camera)
        yield running
        running.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("trial") / "home"
    home.mkdir()
    with dashboard(home) as served:
        yield served
    kept = [path.name for path in home.rglob("*") if path.is_file()]
    assert set(kept) <= {"dashboard.log"}, "something of what was tried was kept"


def one_face(page: Page) -> None:
    """Wait until the face is boxed, named and measured."""
    expect(page.locator(".stage .face")).to_have_count(1, timeout=60_000)
    expect(page.locator(".stage .label span")).to_have_text(re.compile(r"^\w+( \d+\u202f%)?$"))
    expect(page.locator("#try-faces .bars p")).to_have_count(7)
    expect(page.locator("#try-facts")).to_contain_text("1 face · ")
    expect(page.locator("#try-facts")).to_contain_text("mien-")


def test_the_browsers_camera_shows_boxes_and_bars(address: str, visit: Open, screenshots: Path | None) -> None:
    page = visit(f"{address}/try").page
    page.get_by_role("button", name="Use the camera").click()
    one_face(page)
    expect(page.locator("#try-facts")).to_contain_text("pictures/s")
    box, screen = page.locator(".stage .face").bounding_box(), page.locator(".screen").bounding_box()
    assert box is not None
    assert screen is not None
    assert 0.1 < box["height"] / screen["height"] < 0.9
    expect(page.locator("[data-stream=try] path").first).to_have_attribute("d", re.compile("^M.+Z$"))
    if screenshots:
        until(lambda: page.locator("[data-stream=try] path").first.evaluate("path => path.getBBox().width > 0"))
        keep(page, screenshots / "trying.webp")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".stage .face")).to_have_count(0)
    assert page.evaluate("document.getElementById('film').srcObject") is None


def test_a_file_that_is_chosen_before_the_page_listens_is_read(address: str, visit: Open, media: Path) -> None:
    page = visit(f"{address}/try").page
    late: list[Route] = []
    page.route(re.compile(r"/try\.js"), lambda route: late.append(route))
    page.reload(wait_until="commit")
    page.locator("#file").set_input_files(media / "photo.jpg")
    until(lambda: bool(page.title()) and bool(late))
    late[0].continue_()
    one_face(page)


def test_a_photo_is_read_as_it_is_and_other_files_are_refused(address: str, visit: Open, media: Path) -> None:
    visited = visit(f"{address}/try")
    page = visited.page
    page.locator("[data-sample='surprised.jpg']").click()
    one_face(page)
    file = page.locator("#file")
    file.set_input_files(media / "photo.jpg")
    expect(page.locator("#try-facts")).to_contain_text("1 face · ")
    (face,) = mien.analyze(media / "photo.jpg")
    expect(page.locator("#try-faces h3")).to_have_text(f"Face 1: {face.emotion}")
    shown = page.locator("#try-faces .bars p").all_inner_texts()
    assert [re.sub(r"\D", "", line) for line in shown] == [f"{100 * face.probabilities[name]:.0f}" for name in SHOWN]
    (media / "notes.txt").write_text("no picture")
    file.set_input_files(media / "notes.txt")
    expect(page.locator("#try-said")).to_have_text("'notes.txt' is neither a photo nor a video.")
    (media / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    file.set_input_files(media / "broken.jpg")
    expect(page.locator("#try-said")).to_contain_text("'broken.jpg' cannot be analysed")
    assert [error for error in visited.errors if "422" not in error] == []
    visited.errors.clear()
    expect(page.locator(".stage .face")).to_have_count(0)


def test_a_video_has_its_curve_its_happiest_second_and_its_table(address: str, visit: Open, media: Path) -> None:
    page = visit(f"{address}/try").page
    page.locator("#file").set_input_files(media / "video.mp4")
    expect(page.locator("[data-try=happiest]")).to_have_text(re.compile(r"^Happiest at 0:0\d$"))
    expect(page.locator("[data-curve] path").first).to_have_attribute("d", re.compile("^M.+Z$"))
    expect(page.locator("#film")).to_be_visible()
    page.locator("[data-curve]").press("Home")
    page.locator("[data-curve]").press("ArrowRight")
    until(lambda: page.evaluate("Math.abs(document.getElementById('film').currentTime - 1) < 0.6"))
    one = page.locator(".stage .face")
    expect(one).to_have_count(1)
    with page.expect_download() as table:
        page.locator("[data-try=csv]").click()
    with Path(table.value.path()).open() as lines:
        rows = list(csv.DictReader(lines))
    read = list(mien.analyze_video(media / "video.mp4"))
    assert [float(row["happy"]) for row in rows] == pytest.approx([of.faces[0].probabilities.happy for of in read])
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#player")).to_be_hidden()


def test_a_video_that_the_browser_cannot_show_is_read_and_shown_with_its_faces_drawn(
    address: str, visit: Open, media: Path
) -> None:
    page = visit(f"{address}/try").page
    page.locator("#file").set_input_files(media / "hevc.mp4")
    expect(page.locator("#try-said")).to_contain_text("This browser cannot show 'hevc.mp4'")
    expect(page.locator("[data-try=annotated]")).to_be_visible()
    until(lambda: page.evaluate("document.getElementById('film').videoWidth") == 640)
    expect(page.locator("#try-faces .bars p")).to_have_count(7)
    assert page.locator("[data-try=annotated]").get_attribute("href").endswith("/annotated")
