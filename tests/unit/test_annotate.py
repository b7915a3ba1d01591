"""Drawing, video files with drawings, and the live window."""

from __future__ import annotations

import itertools
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from making import add_beep, grey_levels, write_video
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from mien.charts.palette import COLOURS
from mien.errors import InputError, MienError
from mien.media.encode import VideoWriter
from mien.observation import EMOTIONS, Emotion, Face, Observation, Probabilities, new_id
from mien.vision import annotate as drawing
from mien.vision.annotate import annotate, write_picture
from mien.vision.blur import FaceBlur
from mien.vision.window import PreviewWindow


def face(x: int, y: int, side: int, emotion: Emotion | None = "happy") -> Face:
    return Face(1, (x, y, side, side), 0.9, emotion, Probabilities(0.02, 0.02, 0.02, 0.88, 0.02, 0.02, 0.02))


def seen(width: int, height: int, *faces: Face) -> Observation:
    return Observation(new_id(), "stage", new_id(), 0, None, None, 0, width, height, "tiny@00000000", 1.0, list(faces))


def ground(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 120, np.uint8)


def rows_and_columns(image: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((image != 120).any(2))
    return columns.min(), rows.min(), columns.max(), rows.max()


@pytest.mark.parametrize(("width", "height"), [(640, 360), (3840, 2160)])
def test_box_label_and_bars_scale_with_the_frame(width: int, height: int) -> None:
    unit = width // 640
    image = ground(width, height)
    drawn = annotate(image, seen(width, height, face(100 * unit, 100 * unit, 120 * unit)))
    assert (image == 120).all(), "the frame itself must stay as it is"
    left, top, right, bottom = rows_and_columns(drawn)
    assert left == pytest.approx(100 * unit, abs=6 * unit)
    assert top == pytest.approx(100 * unit, abs=6 * unit)
    assert bottom == pytest.approx(220 * unit, abs=10 * unit)
    assert right > 320 * unit, "the bars stand beside the face"
    orange = (np.abs(drawn.astype(int) - (0x00, 0x9F, 0xE6)) < 40).all(2)
    assert orange.sum() > 500 * unit * unit


def test_every_emotion_has_a_colour_of_its_own() -> None:
    assert tuple(COLOURS) == EMOTIONS
    # Seen without colour, by deuteranopes and by all, any two must differ in some channel of what is left.
    rgb = {emotion: np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) for emotion, code in COLOURS.items()}
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    for one, other in itertools.combinations(rgb, 2):
        assert np.linalg.norm(deuteranopia @ (rgb[one] - rgb[other])) > 40, f"{one} and {other} look alike"


def test_labels_cover_no_other_face() -> None:
    faces = [face(50 + 130 * n, 120, 90) for n in range(4)]
    drawn = annotate(ground(640, 360), seen(640, 360, *faces))
    for one in faces:
        x, y, width, height = one.box
        assert (drawn[y + 12 : y + height - 12, x + 12 : x + width - 12] == 120).all()


CROWD = [(110, 400, 110, 130), (310, 435, 105, 130), (440, 455, 95, 120), (565, 345, 100, 120), (630, 470, 85, 105)]
CROWD += [(810, 395, 80, 90), (820, 485, 85, 115), (990, 300, 90, 110), (1025, 490, 85, 105), (1150, 360, 85, 100)]
CROWD += [(1140, 490, 85, 115), (1250, 440, 85, 110), (1370, 450, 90, 115), (1435, 535, 110, 140)]


@pytest.mark.parametrize("scale", [1, 1 / 3, 2])
def test_labels_of_a_crowd_can_all_be_read(scale: float) -> None:
    width, height = round(1920 * scale), round(1440 * scale)
    faces = [msgspec.structs.replace(face(0, 0, 1), box=tuple(round(at * scale) for at in box)) for box in CROWD]
    unit = max(1.0, width / 640)
    placed = drawing._layout(ground(width, height), seen(width, height, *faces), unit)
    edges = [(left, top, left + panel.shape[1], top + panel.shape[0]) for panel, left, top in placed]
    for one, other in itertools.combinations([*edges, *map(drawing._edges, faces)], 2):
        if one in edges or other in edges:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, f"{one} covers {other}"
    assert all(left >= 0 and top >= 0 and right <= width and bottom <= height for left, top, right, bottom in edges)


def test_no_letter_is_cut_off() -> None:
    letters = drawing._text("fear", 40)
    taller = Pillow.new("L", (200, 100))
    ImageDraw.Draw(taller).text((0, 30), "fear", font=ImageFont.load_default(40), fill=255)
    assert letters.sum() == pytest.approx(np.asarray(taller).sum() / 255, rel=0.01)


@pytest.mark.parametrize(
    "box", [(-50, -50, 100, 100), (600, 320, 200, 200), (0, 0, 640, 360), (5, 5, 3, 3), (2000, 2000, 9, 9)]
)
def test_faces_at_and_over_the_edge_are_drawn_too(box: tuple[int, int, int, int]) -> None:
    one = Face(None, box, 0.9, None, face(0, 0, 1).probabilities)
    assert annotate(ground(640, 360), seen(640, 360, one)).shape == (360, 640, 3)


def test_a_tiny_picture_can_be_annotated() -> None:
    assert annotate(ground(20, 10), seen(20, 10, face(2, 2, 6))).shape == (10, 20, 3)


def test_a_video_is_h264_with_even_sides_its_own_times_and_a_fast_start(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path) as writer:
        for number, offset in enumerate([0.0, 0.04, 0.5, 1.25]):
            writer.write(np.full((99, 161, 3), 40 * number, np.uint8), offset)
        assert not path.exists(), "no half-written file under the final name"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (160, 98)
        frames = list(container.decode(stream))
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.04, 0.5, 1.25], abs=1e-3)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


def test_an_error_leaves_no_video(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4")
    writer.write(ground(64, 48), 0.0)
    writer.__exit__(RuntimeError, RuntimeError(), None)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write video"):
        VideoWriter(tmp_path / "missing" / "out.mp4")
    with pytest.raises(InputError, match="cannot write picture"):
        write_picture(tmp_path / "missing" / "out.jpg", ground(8, 8))
    with pytest.raises(InputError, match="cannot write picture"):
        write_picture(tmp_path / "out.doc", ground(8, 8))


def test_a_picture_keeps_its_colours(tmp_path: Path) -> None:
    write_picture(tmp_path / "out.png", np.full((4, 4, 3), (255, 0, 0), np.uint8))
    assert Pillow.open(tmp_path / "out.png").getpixel((1, 1)) == (0, 0, 255)


def test_a_face_that_is_lost_for_a_moment_stays_hidden() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8)
    hiding = FaceBlur(keep_s=1.0)

    def hides(at: float, *faces: Face) -> bool:
        observation = msgspec.structs.replace(seen(300, 200, *faces), offset_s=at)
        hidden = hiding.hide(noise, observation)
        outside = np.ones((200, 300), bool)
        outside[20:180, 70:230] = False
        assert (hidden[outside] == noise[outside]).all()
        changed = (hidden != noise).any(2)[50:150, 100:200]
        assert changed.mean() > 0.95 or not changed.any()
        return bool(changed.any())

    assert not hides(0.0)
    assert hides(1.0, face(100, 50, 100))
    assert hides(1.9)
    assert not hides(2.1)


@pytest.fixture
def display(xvfb: str) -> Iterator[str]:
    """A screen without a monitor."""
    pytest.importorskip("tkinter")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        [xvfb, "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


# Tk ends its process when the display goes away, so these run in one of their own.
PICTURE_SHOWN = """
picture = np.zeros((300, 400, 3), np.uint8)
picture[:, :, 2] = 250
with PreviewWindow("Mien: stage") as window:
    for _ in range(10):
        assert window.show(picture, 38.4)
    root = window._root
    assert (window._label.winfo_width(), window._label.winfo_height()) == (400, 300), root.geometry()
    rate, *rest = window._status["text"].split("   ")
    assert rate.endswith(" frames/s") and float(rate.split()[0]) > 1, rate
    assert rest == ["38 ms behind", "q closes"], rest
    assert window._status.winfo_viewable() and window._status.winfo_height() > 8
    assert window._photo.get(200, 150) == (250, 0, 0)
    root.focus_force()
    root.update()
    root.event_generate("<Key-q>")
    assert not window.show(picture)
    assert not window.show(picture)
"""
SCALED_TO_THE_SCREEN = """
with PreviewWindow("Mien: stage") as window:
    for _ in range(5):
        assert window.show(np.zeros((2160, 3840, 3), np.uint8))
    assert window._root.winfo_width() <= 800
    window._root.focus_force()
    window._root.update()
    window._root.event_generate("<Escape>")
    assert not window.show(np.zeros((9, 9, 3), np.uint8))
"""


@pytest.mark.parametrize("steps", [PICTURE_SHOWN, SCALED_TO_THE_SCREEN])
def test_the_window_shows_the_picture_until_a_key_closes_it(display: str, steps: str) -> None:
    script = f"import numpy as np\nfrom mien.vision.window import PreviewWindow\n{steps}\nprint('done')"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "DISPLAY": display},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("done\n", "")


def test_without_a_display_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(MienError, match="cannot open a window"):
        PreviewWindow("Mien")


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from mien.errors import MienError
from mien.media.encode import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
random = np.random.default_rng(1)
try:
    with VideoWriter(Path(sys.argv[1]), sound=sys.argv[2]) as writer:
        for number in range(75):
            writer.write(random.integers(0, 255, (240, 320, 3), np.uint8), number / 25)
except MienError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("room", [0, 1, 5_000, 60_000, 400_000])
def test_a_full_disk_ends_in_one_line_and_leaves_nothing(tmp_path: Path, room: int) -> None:
    loud = add_beep(tmp_path / "loud.mp4", write_video(tmp_path / "s.mp4", grey_levels(75), range(0, 3000, 40)), 1, 2)
    out = tmp_path / "out" / "drawn.mp4"
    out.parent.mkdir()
    asked = [sys.executable, "-c", FULL_DISK, str(out), str(loud), str(room)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(rf"cannot (go on writing|finish) video '{out}': [a-z ]+\n", done.stdout)
    assert "damaged" not in done.stderr  # the sound is not to blame
    assert list(out.parent.iterdir()) == []


def test_a_picture_for_which_there_is_no_room_is_not_left_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(MienError, match=r"out\.png'.*file too large"):
            write_picture(tmp_path / "out.png", np.random.default_rng(1).integers(0, 255, (90, 90, 3), np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
