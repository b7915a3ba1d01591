"""Logging in, what each role sees, and a page that is open when its viewer's access is taken away."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest
from feeding import Camera, until
from playwright.sync_api import Page, expect
from serving import dashboard
from visits import Served, Visit

from mien.dashboard.security.accounts import make_token, revoke, set_password
from mien.stores.base import open_store

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

Open = Callable[..., Visit]
PASSWORD = "correct horse battery"  # noqa: S105


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard that asks for a login on this machine too: ada edits, vera looks, eve will have to go."""
    home = tmp_path_factory.mktemp("guarded")
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    store.add([Camera("hall", 2).observe(datetime.now(timezone.utc))])
    for name, role in {"ada": "editor", "vera": "viewer", "eve": "viewer"}.items():
        set_password(home, name, role, PASSWORD)  # type: ignore[arg-type]
    with dashboard(home, MIEN_DASHBOARD__LOGIN="true") as address:
        yield Served(address, home, store)
    store.close()


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password or token").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_a_wrong_password_is_said_the_right_one_leads_on_and_logout_ends_it(guarded: Served, visit: Open) -> None:
    visited = visit(f"{guarded.address}/history?period=1h", viewport={"width": 900, "height": 700})
    page = visited.page
    expect(page.get_by_role("heading", name="Log in to Mien")).to_be_visible()
    log_in(page, "ada", "not her password")
    expect(page.get_by_role("alert")).to_contain_text("password")
    visited.errors.clear()  # the browser reports the answer 401
    log_in(page, "ada")
    expect(page.locator("#figures .figure").first).to_be_visible()
    assert page.evaluate("location.pathname + location.search") == "/history?period=1h"
    page.locator("#marking summary").click()
    page.get_by_label("What happens").fill("The show begins")
    page.get_by_role("button", name="Add the marker").click()
    expect(page.locator("#markers li")).to_have_count(1)
    page.get_by_role("link", name="Reports").click()
    expect(page.get_by_role("button", name="Make the report")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in to Mien")).to_be_visible()
    page.goto(f"{guarded.address}/history")
    expect(page.get_by_role("heading", name="Log in to Mien")).to_be_visible()


def test_a_viewer_sees_no_control_of_editors_and_nothing_of_the_inside(guarded: Served, visit: Open) -> None:
    page = visit(guarded.address, viewport={"width": 900, "height": 700}).page
    log_in(page, "vera")
    expect(page.locator("article.source")).to_contain_text("hall")
    page.get_by_role("link", name="History").click()
    page.locator("#marking summary").click()
    expect(page.locator("#markers li")).to_have_count(1)
    expect(page.locator("#markers li button")).to_be_hidden()
    expect(page.get_by_role("button", name="Add the marker")).to_be_hidden()
    page.get_by_role("link", name="Reports").click()
    expect(page.locator("#ended")).to_contain_text("None yet")
    expect(page.get_by_role("button", name="Make the report")).to_be_hidden()
    page.get_by_role("link", name="System").click()
    expect(page.locator("#parts li").first).to_be_visible()
    expect(page.locator("#lines")).to_be_hidden()
    assert page.locator("#lines").text_content() == ""
    assert str(guarded.home) not in page.content()


@pytest.mark.parametrize(("name", "path"), [("eve", "/"), ("wall", "/history?period=1h")])
def test_a_page_that_is_open_loses_its_live_data_with_the_access(
    guarded: Served, visit: Open, name: str, path: str
) -> None:
    """Eve has a password, the wall a token; its access is taken away while its page and its stream are open."""
    secret = make_token(guarded.home, name, "viewer") if name == "wall" else PASSWORD
    visited = visit(f"{guarded.address}{path}", viewport={"width": 900, "height": 700})
    page = visited.page
    log_in(page, name, secret)
    expect(page.locator("article.source, #figures .figure").first).to_be_visible()
    page.evaluate(FOLLOW)
    until(lambda: page.evaluate("window.told === 'open'"))  # the page's policy lets nobody evaluate text in it
    revoke(guarded.home, name)
    expect(page.get_by_role("heading", name="Log in to Mien")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("your access was taken away")
    log_in(page, name, secret)
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    log_in(page, "vera")
    expect(page.locator("article.source, #figures .figure").first).to_be_visible()
    assert page.evaluate("location.pathname + location.search") == path
    visited.errors.clear()  # the browser reports the answers 401


FOLLOW = """() => {
    const stream = new EventSource("/api/v1/live");
    stream.addEventListener("sources", () => (window.told = "open"));
}"""


def test_a_program_looks_with_a_token(guarded: Served) -> None:
    token = make_token(guarded.home, "grafana", "viewer")
    request = urllib.request.Request(  # noqa: S310
        f"{guarded.address}/api/v1/sources", headers={"authorization": f"Bearer {token}"}
    )
    assert urllib.request.urlopen(request, timeout=30).status == 200  # noqa: S310
