"""The cards of the page Live: faces can be told apart and agree with their words at any time; cards fill the screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import pytest
from feeding import Camera, broker, probabilities_at, publishing
from playwright.sync_api import Page, expect
from serving import dashboard
from visits import Served, Visit, serious

from mien.observation import EMOTIONS, Face, new_id
from mien.stores.base import Marker, open_store
from ports import unused_port

pytestmark = [pytest.mark.browser, pytest.mark.mosquitto, pytest.mark.timeout(300)]

Open = Callable[..., Visit]

NAMES = ("bar", "cafe", "door", "foyer", "gate", "hall", "lift", "roof", "yard")
PEOPLE = {"foyer": 8, "gate": 29, "hall": 7, "roof": 3, "yard": 0}
"""How many faces a source sees; of one that is not named, one."""

SIZES = {"foyer": (720, 1280)}
"""What a source's frames measure, in pixels; those of one that is not named, 1280 by 720."""


class Crowd(Camera):
    """People who change quickly; up to seven stand close together and reach over the edges, more stand in rows."""

    def _face(self, number: int, moment: float) -> Face:
        probabilities = probabilities_at(30 * moment + 97 * number)
        top = max(EMOTIONS, key=lambda emotion: getattr(probabilities, emotion))
        width, height = self.size
        side, rows = (int(height * 0.11), 8) if self.people > 8 else (int(height * 0.3), 7)
        x = int((number % rows + 0.5) * width / rows - side / 2 + 9 * math.sin(moment))
        y = int(height * (0.2 + 0.2 * (number // rows))) if self.people > 8 else (number % 3) * (height - side) // 2
        return Face(number + 1, (x, y, side, side), 0.97, top, probabilities)


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory, mosquitto: str) -> Iterator[Served]:
    """A dashboard over nine sources that go on, with an hour behind them."""
    home = tmp_path_factory.mktemp("nine")
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    now = datetime.now(timezone.utc)
    cameras = [Crowd(name, PEOPLE.get(name, 1), SIZES.get(name, (1280, 720))) for name in NAMES]
    for camera in cameras:
        store.add(camera.span(now - timedelta(minutes=59), now, 30))
    store.add_markers([Marker(new_id(), now - timedelta(minutes=9), "The doors open", None, "me")])
    port = unused_port()
    place = {"MIEN_BROKER__HOST": "127.0.0.1", "MIEN_BROKER__PORT": str(port)}
    with broker(mosquitto, port), publishing(port, cameras), dashboard(home, **place) as address:
        yield Served(address, home, store)
    store.close()


def look_at(
    visit: Open, served: Served, *names: str, size: tuple[int, int] = (1400, 1000), kiosk: bool = False
) -> Page:
    chosen = "&".join([f"source={name}" for name in names] + ["kiosk=1"] * kiosk)
    page = visit(f"{served.address}/?{chosen}", viewport={"width": size[0], "height": size[1]}).page
    expect(page.locator("article.source")).to_have_count(len(names) or len(NAMES))
    expect(page.locator(".stage .face").first).to_be_visible()
    return page


FRAMES = """(ms) => new Promise((done) => {
    const wrong = [], seen = new Set(), began = performance.now();
    let frames = 0;
    const colour = (name) => {
        const probe = document.body.appendChild(document.createElement("i"));
        probe.style.color = `var(--${name})`;
        const value = getComputedStyle(probe).color;
        probe.remove();
        return value;
    };
    const look = () => {
        frames += 1;
        for (const box of document.querySelectorAll(".stage .face")) {
            const row = document.querySelector(`.people [data-face="${box.dataset.face}"]`);
            const label = box.nextElementSibling.lastChild.textContent, words = row?.querySelector(".what").textContent;
            const [name, percent] = label.toLowerCase().split(/[ \\u202f%]+/);
            const bars = [...(row?.querySelectorAll(".mix i") ?? [])];
            const widths = bars.map((bar) => bar.getBoundingClientRect().width);
            const own = widths[bars.findIndex((bar) => bar.className === name)];
            const largest = Math.max(...widths) - own < 0.05; // of two that are level, either may be named
            const share = 100 * own / widths.reduce((sum, width) => sum + width, 0);
            const border = getComputedStyle(box).borderTopColor;
            seen.add(label);
            if (label !== words || !largest || border !== colour(name) || Math.abs(share - percent) > 2)
                wrong.push([label, words, widths, share, border]);
        }
        if (performance.now() - began < ms) requestAnimationFrame(look);
        else done({ frames, seen: seen.size, wrong });
    };
    requestAnimationFrame(look);
})"""


def test_label_bar_and_box_agree_in_every_animation_frame(nine: Served, visit: Open) -> None:
    page = look_at(visit, nine, "roof")
    expect(page.locator(".people li")).to_have_count(3)
    told = page.evaluate(FRAMES, 3500)
    assert told["frames"] > 20
    assert told["seen"] > 6, "nothing changed"
    assert told["wrong"] == []


PLACES = """(ms) => new Promise((done) => {
    const wrong = [], began = performance.now();
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const within = (a, b) => a.left >= b.left && a.top >= b.top && a.right <= b.right && a.bottom <= b.bottom;
    const look = () => {
        for (const stage of document.querySelectorAll(".stage")) {
            const around = stage.getBoundingClientRect(), name = stage.dataset.stage;
            const marks = [...stage.querySelectorAll(".label:not([hidden])")];
            const places = marks.map((mark) => mark.getBoundingClientRect());
            const glide = marks.some((mark) => mark.getAnimations().length);
            places.forEach((place, at) => {
                if (!within(place, around)) wrong.push([name, marks[at].textContent, "leaves the stage"]);
                if (!glide && places.slice(at + 1).some((other) => meet(place, other)))
                    wrong.push([name, marks[at].textContent, "lies on another"]);
            });
        }
        if (performance.now() - began < ms) requestAnimationFrame(look);
        else done(wrong);
    };
    requestAnimationFrame(look);
})"""


@pytest.mark.parametrize(("width", "kiosk"), [(390, False), (1400, False), (1920, True)])
def test_labels_stay_in_the_stage_and_lie_on_no_other(nine: Served, visit: Open, width: int, kiosk: bool) -> None:
    page = look_at(visit, nine, size=(width, 1000), kiosk=kiosk)
    assert page.evaluate(PLACES, 1500) == []
    assert page.locator("#source-hall .label:not([hidden]) b").count() >= 3
    assert page.locator("#source-gate .label:not([hidden])").count() == 0, "29 bear colours alone"


ANYWHERE = """(count) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(".label { transition: none !important }");
    document.adoptedStyleSheets = [sheet];
    const { functions } = mien, wrong = [], stage = document.querySelector("[data-stage=hall]");
    const words = ["Happy 61\\u202f%", "Fear 31\\u202f%", "Surprise 100\\u202f%", "Unclear", "Disgust 7\\u202f%"];
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    let seed = 7;
    const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    for (let round = 0; round < count; round++) {
        const faces = Array.from({ length: 2 + Math.floor(7 * random()) }, (_, at) => ({
            key: `${at + 1}`, number: at + 1, emotion: "happy", label: words[Math.floor(words.length * random())],
            box: [60 * random(), 50 * random(), 8 + 15 * random(), 10 + 20 * random()],
        }));
        functions.stage({ faces, ratio: 16 / 9 }, "hall");
        const marks = [...stage.querySelectorAll(".label:not([hidden])")];
        const places = marks.map((mark) => mark.getBoundingClientRect());
        places.forEach((place, at) => {
            if (places.slice(at + 1).some((other) => meet(place, other))) wrong.push([round, marks[at].textContent]);
        });
    }
    return wrong;
}"""


def test_labels_lie_on_no_other_by_a_part_of_a_pixel_either_or_where_no_room_is_left(nine: Served, visit: Open) -> None:
    page = look_at(visit, nine, "hall")
    assert page.evaluate(ANYWHERE, 1500) == []


def test_what_is_pointed_at_or_focused_is_marked_in_stage_and_list(nine: Served, visit: Open) -> None:
    page = look_at(visit, nine, "gate", size=(1920, 1080))
    rows, marked = page.locator(".people li"), page.locator(".face.marked")
    expect(rows).to_have_count(29)
    last = rows.last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] < 1080, "all 29 can be read without scrolling"
    assert last["height"] > 14
    rows.nth(11).hover()
    expect(marked).to_have_count(1)
    expect(marked).to_have_attribute("data-face", "12")
    shown = page.locator(".label:not([hidden])")
    expect(shown.locator("b")).to_have_text("12")
    assert page.evaluate(PLACES, 100) == []
    page.locator('.face[data-face="20"]').hover()
    expect(page.locator("li.marked .who")).to_contain_text("20")
    page.mouse.move(5, 5)
    expect(marked).to_have_count(0)
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    expect(marked).to_have_attribute("data-face", "2")
    page.locator('.face[data-face="1"]').focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("li.marked .who")).to_contain_text("2")
    assert serious(page) == []


HIDDEN = """() => [...document.querySelectorAll("article.source")].filter((card) => {
    const { left, top, right, bottom } = card.getBoundingClientRect();
    const stage = card.querySelector(".stage").getBoundingClientRect();
    return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight || stage.height < 90 ||
        stage.bottom > bottom;
}).map((card) => card.id)"""


@pytest.mark.parametrize("names", [("hall",), NAMES[:4], NAMES[:6], NAMES], ids=len)
def test_a_wall_shows_every_card_without_scrolling(nine: Served, visit: Open, names: tuple[str, ...]) -> None:
    page = look_at(visit, nine, *(() if names is NAMES else names), size=(1920, 1080), kiosk=True)
    assert page.evaluate(HIDDEN) == []
    assert page.evaluate("document.documentElement.scrollHeight") <= 1080
    columns = page.evaluate("new Set([...document.querySelectorAll('.source')].map((card) => card.offsetLeft)).size")
    assert columns == {1: 1, 4: 2, 6: 3, 9: 3}[len(names)]


LOWEST = """Math.max(...[...document.querySelectorAll(".board .card")].map(
    (card) => card.getBoundingClientRect().bottom))"""


@pytest.mark.parametrize("names", [("hall",), NAMES[:4]], ids=len)
def test_a_large_screen_has_no_empty_half(nine: Served, visit: Open, names: tuple[str, ...]) -> None:
    page = look_at(visit, nine, *names, size=(2560, 1440))
    lowest = page.evaluate(LOWEST)
    assert 0.85 * 1440 < lowest <= 1440


def test_a_source_that_is_alone_has_its_last_hour_and_markers(nine: Served, visit: Open) -> None:
    page = look_at(visit, nine, "hall")
    expect(page.locator("#latest")).to_contain_text("The doors open")
    hour = page.locator("#alone [data-stream] path").first
    assert hour.evaluate("path => path.getBBox().width") > 500
    page.get_by_role("link", name="Zoom and compare").click()
    expect(page.locator("[data-period-name='1h']")).to_have_attribute("aria-pressed", "true")
    assert "source=hall" in page.url
