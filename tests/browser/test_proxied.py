"""The dashboard at https://…/mien/, behind nginx as deploy/nginx.conf has it, from the login to the logout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import av
import cv2
import pytest
from feeding import Camera
from playwright.sync_api import expect
from serving import dashboard
from visits import Visit

from mien.dashboard.security.accounts import set_password
from mien.media.demo import PORTRAIT
from mien.stores.base import open_store
from proxying import nginx

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

PASSWORD = "correct horse battery"  # noqa: S105


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("proxied")
    home = folder / "home"
    home.mkdir()
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    store.add([Camera("hall", 2).observe(datetime.now(timezone.utc))])
    store.close()
    set_password(home, "ada", "editor", PASSWORD)
    with (
        dashboard(home, MIEN_DASHBOARD__TRUSTED_PROXIES="127.0.0.1") as inside,
        nginx(folder / "nginx", inside) as address,
    ):
        yield address


def test_all_works_below_the_path(address: str, tmp_path: Path, visit: Callable[..., Visit]) -> None:
    visited = visit(f"{address}/mien", ignore_https_errors=True, viewport={"width": 1200, "height": 900})
    page = visited.page
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))

    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password or token").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    source = page.locator("article.source").get_by_role("link", name="hall")  # it comes with the stream
    expect(source).to_be_visible()
    source.click()
    expect(page).to_have_url(re.compile(r"/mien/history\?.*source=hall"))
    expect(page.locator("#plot .nsewdrag").first).to_be_attached()
    page.locator("#marking summary").click()
    page.get_by_label("What happens").fill("The show begins")
    page.get_by_role("button", name="Add the marker").click()
    expect(page.locator("#markers li")).to_have_count(1)

    page.get_by_role("link", name="Try it").click()
    page.locator("#file").set_input_files(PORTRAIT)
    expect(page.locator("#try-facts")).to_contain_text("1 face")

    clip = tmp_path / "clip.mp4"
    image = cv2.resize(cv2.imread(str(PORTRAIT)), (320, 288))
    with av.open(clip, "w") as video:
        stream = video.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 288, "yuv420p"
        for _ in range(30):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        video.mux(stream.encode(None))
    page.get_by_role("link", name="Reports").click()
    page.locator("#report-files").set_input_files(clip)
    page.get_by_role("button", name="Make the report").click()
    done = page.locator("#ended li.done")
    expect(done).to_be_visible()
    with page.context.expect_page() as opened:
        done.get_by_role("link", name="Open").click()
    expect(opened.value).to_have_url(re.compile(f"^{re.escape(address)}/mien/reports/[0-9a-f]{{32}}/"))
    expect(opened.value.get_by_role("heading").first).to_be_visible()
    opened.value.close()

    page.get_by_role("link", name="System").click()
    expect(page.locator("#parts li").first).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in to Mien")).to_be_visible()
    expect(page).to_have_url(f"{address}/mien/login")
    below = [url for url in requested if not url.startswith(("blob:", "data:"))]
    assert below
    assert [url for url in below if not url.startswith(f"{address}/mien/")] == []
