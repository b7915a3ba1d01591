"""The data sets that users have: each form is read alike, and what is broken is named with its row."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.errors import InputError
from mien.training.data import OTHER_VOTES, VOTES, Faces, load

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 48, 48)).astype(np.uint8)
LABELS = [0, 1, 2, 3, 4, 6]
USAGE = ["Training", "Training", "PublicTest", "PrivateTest", "Training", "PublicTest"]
NAMES = ["angry", "disgust", "fear", "happy", "sad", "neutral"]


def text(pixels: np.ndarray) -> str:
    return " ".join(map(str, pixels.ravel()))


def write_csv(path: Path, rows: list[list[object]], header: str = "emotion,pixels,Usage") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def rows() -> list[list[object]]:
    return [[label, text(pixels), usage] for label, pixels, usage in zip(LABELS, PIXELS, USAGE, strict=True)]


def picture(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind, lossless=True)
    return file.getvalue()


def assert_all_there(faces: Faces) -> None:
    np.testing.assert_array_equal(faces.pixels, PIXELS)
    assert faces.pixels.dtype == np.uint8
    assert faces.labels.tolist() == LABELS
    assert faces.usage.tolist() == USAGE
    assert faces.votes.shape == (6, 7)


def test_fer2013_csv(tmp_path: Path) -> None:
    faces = load(write_csv(tmp_path / "fer2013.csv", rows()))
    assert_all_there(faces)
    assert not faces.votes.any()
    assert faces.majority.tolist() == [-1] * 6
    assert len(faces.split("PublicTest")) == 2


def test_icml_face_data_csv_whose_names_begin_with_a_space(tmp_path: Path) -> None:
    turned = [[label, usage, pixels] for label, pixels, usage in rows()]
    assert_all_there(load(write_csv(tmp_path / "icml_face_data.csv", turned, "emotion, Usage, pixels")))


def test_only_the_splits_asked_for_are_looked_at(tmp_path: Path) -> None:
    broken = rows()
    broken[3][1] = "1 2 3"  # PrivateTest
    path = write_csv(tmp_path / "fer2013.csv", broken)
    assert len(load(path, ("Training", "PublicTest"))) == 5
    with pytest.raises(InputError, match="line 5"):
        load(path)


def table(**columns: object) -> Any:
    pa = pytest.importorskip("pyarrow")
    images = [{"bytes": picture(pixels, "webp"), "path": None} for pixels in PIXELS]
    return pa.table({"image": images, "label": LABELS, "usage": USAGE} | columns)


def write_parquet(path: Path, content: Any) -> Path:
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(content, path)
    return path


def test_parquet_with_votes(tmp_path: Path) -> None:
    names = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt", "unknown", "NF"]
    votes = np.zeros((6, 10), int)
    votes[0, [0, 6]] = 7, 3  # anger has it
    votes[1, [1, 4]] = 5, 5  # nobody alone
    votes[2, [2, 8]] = 4, 6  # unknown has it
    votes[3, 3] = 10
    columns = {f"ferplus_{name}": votes[:, index] for index, name in enumerate(names)}
    faces = load(write_parquet(tmp_path / "fer2013.parquet", table(**columns)))
    assert_all_there(faces)
    np.testing.assert_array_equal(faces.votes, votes[:, :7])
    assert faces.majority.tolist() == [0, -1, -1, 3, -1, -1]
    assert faces.split("PrivateTest").majority.tolist() == [3]


def test_parquet_without_votes(tmp_path: Path) -> None:
    assert_all_there(load(write_parquet(tmp_path / "fer2013.parquet", table())))


def test_parquet_whose_labels_are_called_emotion(tmp_path: Path) -> None:
    renamed = table().rename_columns(["image", "emotion", "usage"])
    assert_all_there(load(write_parquet(tmp_path / "FER2013.PARQUET", renamed)))


def test_csv_with_a_byte_order_mark_and_an_empty_line_at_its_end(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fer2013.csv", rows())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n\r\n")
    assert_all_there(load(path))


def write_folder(path: Path, named: bool) -> Path:
    for index, (name, pixels, usage) in enumerate(zip(NAMES, PIXELS, USAGE, strict=True)):
        part = "train" if usage == "Training" else "test"
        file = path / part / name / f"{usage if named else 'im'}_{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(pixels, "png"))
    return path


def test_folder_whose_names_tell_the_split(tmp_path: Path) -> None:
    faces = load(write_folder(tmp_path, named=True))
    assert sorted(faces.usage.tolist()) == sorted(USAGE)
    for index, usage in enumerate(USAGE):
        at = [row for row in range(6) if np.array_equal(faces.pixels[row], PIXELS[index])]
        assert faces.usage[at[0]] == usage
        assert faces.labels[at[0]] == LABELS[index]


def test_folder_whose_names_tell_only_private_test(tmp_path: Path) -> None:
    write_folder(tmp_path, named=True)
    for file in tmp_path.glob("test/*/PublicTest_*"):
        file.rename(file.with_name(file.name.replace("PublicTest_", "PrivateTest_")))
    faces = load(tmp_path)
    assert (faces.usage == "PrivateTest").sum() == 3
    assert (faces.usage == "PublicTest").sum() == 3  # the first picture of each folder of train


def test_folder_without_such_names_holds_a_tenth_of_train_out(tmp_path: Path) -> None:
    write_folder(tmp_path, named=False)
    for index in range(20):
        (tmp_path / "train" / "angry" / f"more{index:02}.png").write_bytes(picture(PIXELS[0], "png"))
    faces = load(tmp_path)
    angry = faces.usage[faces.labels == 0]
    assert (angry == "PublicTest").sum() == 3
    assert "PrivateTest" not in faces.usage  # nobody knows what its test folder is
    assert (faces.usage == "Training").sum() + (faces.usage == "PublicTest").sum() == 23


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, "7", r"line 3: expected an emotion from 0 to 6, found '7'"),
        (0, "happy", r"line 3: expected an emotion .* found 'happy'"),
        (0, "", r"line 3: expected an emotion"),
        (1, "1 2 3", r"line 3: expected 2,304 pixels, found 3; the file may be cut off"),
        (1, text(PIXELS[0]).replace(" ", " x", 1), r"line 3: expected pixels from 0 to 255"),
        (1, "300 " + text(PIXELS[0]).partition(" ")[2], r"line 3: expected pixels from 0 to 255, found 0 to 300"),
        (1, "-1 " + text(PIXELS[0]).partition(" ")[2], r"line 3: expected pixels from 0 to 255, found -1 to 255"),
        (1, "9" * 40 + " " + text(PIXELS[0]).partition(" ")[2], r"line 3: expected pixels from 0 to 255"),
        (2, "Test", r"line 3: expected a usage of Training, PublicTest, PrivateTest, found 'Test'"),
        (2, "Training,more", r"line 3: expected 3 columns, found 4"),
        (1, "9" * 200_000, r"line 3: field larger than field limit"),
    ],
)
def test_broken_row_of_a_csv_is_named(tmp_path: Path, column: int, value: str, message: str) -> None:
    broken = rows()
    broken[1][column] = value
    with pytest.raises(InputError, match=message):
        load(write_csv(tmp_path / "fer2013.csv", broken))


def test_truncated_csv(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fer2013.csv", rows())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"line 7.*3 columns.*2"):
        load(path)


def test_parquet_whose_text_is_no_utf8(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "fer2013.parquet", table())
    content = path.read_bytes()
    assert b"PublicTest" in content
    path.write_bytes(content.replace(b"PublicTest", b"Public\xff\xfe\xfd\xfc"))
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        load(path)


def test_broken_parquet(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "fer2013.parquet", table())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        load(path)
    with pytest.raises(InputError, match="has no column usage; it has image, label"):
        load(write_parquet(path, table().drop_columns(["usage"])))
    for image, message in [(b"no picture", "cannot be decoded"), (None, "expected a picture's bytes, found NoneType")]:
        images = [{"bytes": picture(PIXELS[0], "webp")}] * 5 + [{"bytes": image}]
        with pytest.raises(InputError, match=f"row 5: .*{message}"):
            load(write_parquet(path, table(image=images)))
    with pytest.raises(InputError, match=r"row 2.*0 to 6.*'None'"):
        load(write_parquet(path, table(label=[0, 1, None, 3, 4, 5])))
    with pytest.raises(InputError, match="row 0: expected a picture's bytes"):
        load(write_parquet(path, table(image=[{"path": "face.png"}] * 6)))


@pytest.mark.parametrize("wrong", ["many", -1, float("nan"), float("inf")])
def test_votes_that_are_no_counts_are_refused(tmp_path: Path, wrong: Any) -> None:
    columns: dict[str, list[Any]] = {f"ferplus_{name}": [1] * 6 for name in VOTES + OTHER_VOTES}
    columns["ferplus_fear"] = [None, *[type(wrong)(1)] * 3, wrong, type(wrong)(2)]
    with pytest.raises(InputError, match=r"row 4.*FER\+"):
        load(write_parquet(tmp_path / "fer2013.parquet", table(**columns)))


def test_broken_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no folder train"):
        load(tmp_path)
    write_folder(tmp_path, named=True)
    odd = tmp_path / "train" / "angry" / "odd.png"
    odd.write_bytes(picture(np.zeros((64, 50), np.uint8), "png"))
    with pytest.raises(InputError, match=r"odd\.png'.*48x48.*50x64"):
        load(tmp_path)
    odd.write_text("no picture")
    with pytest.raises(InputError, match=r"odd\.png': the picture cannot be decoded"):
        load(tmp_path)
    odd.unlink()
    (tmp_path / "train" / "bored").mkdir()
    with pytest.raises(InputError, match="bored' is named after no emotion"):
        load(tmp_path)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no data set at .* give its place with --data"):
        load(tmp_path / "nothing.csv")
    (tmp_path / "data.txt").touch()
    with pytest.raises(InputError, match="no data set that Mien knows"):
        load(tmp_path / "data.txt")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="has no column emotion, pixels"):
        load(tmp_path / "other.csv")
    (tmp_path / "endless.csv").write_text("emotion," + "a" * (csv.field_size_limit() + 1))
    with pytest.raises(InputError, match=r"endless.csv', line 1"):
        load(tmp_path / "endless.csv")
    (tmp_path / "nul.csv").write_bytes(b"emotion\0,pixels")  # Python 3.10 reads none, later ones do
    with pytest.raises(InputError, match=r"line contains NUL|has no column"):
        load(tmp_path / "nul.csv")
    with pytest.raises(InputError, match="holds no faces"):
        load(write_csv(tmp_path / "empty.csv", []))


def test_compressed_csv(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fer2013.csv", rows())
    for name, module in (
        ("fer2013.csv.gz", gzip),
        ("FER2013.CSV.GZ", gzip),
        ("fer2013.csv.bz2", bz2),
        ("fer2013.csv.xz", lzma),
    ):
        (tmp_path / name).write_bytes(module.compress(path.read_bytes()))  # type: ignore[attr-defined]
        assert_all_there(load(tmp_path / name))
    whole = (tmp_path / "fer2013.csv.gz").read_bytes()
    for broken in (whole[: len(whole) // 2], b"no gzip", whole[:200] + b"junk" + whole[204:]):
        (tmp_path / "fer2013.csv.gz").write_bytes(broken)
        with pytest.raises(InputError, match=r"fer2013.csv.gz'"):
            load(tmp_path / "fer2013.csv.gz")
    (tmp_path / "fer2013.tar.gz").write_bytes(whole)
    with pytest.raises(InputError, match="unpack others"):
        load(tmp_path / "fer2013.tar.gz")


def test_csv_with_float_labels_names_in_other_letters_and_its_header_again(tmp_path: Path) -> None:
    other = {"Training": "training", "PublicTest": "public_test", "PrivateTest": "Private Test"}
    own: list[list[object]] = [[f"{label}.0", pixels, other[str(usage)]] for label, pixels, usage in rows()]
    again = [*own[:3], ["Emotion", "PIXELS", "usage"], *own[3:]]
    assert_all_there(load(write_csv(tmp_path / "a.csv", again, "emotion,pixels,usage")))
    with pytest.raises(InputError, match=r"line 2.*0 to 6.*'0.5'"):
        load(write_csv(tmp_path / "b.csv", [[0.5, *rows()[0][1:]]]))


def test_parquet_with_float_labels_and_names_in_other_letters(tmp_path: Path) -> None:
    content = table(label=[float(label) for label in LABELS], usage=[usage.lower() for usage in USAGE])
    assert_all_there(load(write_parquet(tmp_path / "a.parquet", content.rename_columns(["Image", "Label", "Usage"]))))


def test_rows_that_cannot_be_used_are_left_out_and_counted_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    face = text(PIXELS[0])
    junk: list[list[object]] = [
        ["happy", face, "Training"],
        [1, "1 2 3", "Training"],
        [1],
        [9, face, "Training"],
        [1, face, "elsewhere"],
        [1, "9" * 200_000, "Training"],
    ]
    path = write_csv(tmp_path / "fer2013.csv", [*rows()[:3], *junk, *rows()[3:]])
    with pytest.raises(InputError, match=r"line 5.*'happy'.*--skip-bad"):
        load(path)
    assert_all_there(load(path, skip_bad=True))
    assert "6 rows of" in caplog.text
    assert "the first: " in caplog.text
    assert "line 5: expected an emotion" in caplog.text
    with pytest.raises(InputError, match=r"no faces.*6 rows.*line 2"):
        load(write_csv(tmp_path / "junk.csv", junk), skip_bad=True)
    images = [{"bytes": picture(pixels, "webp")} for pixels in PIXELS[:5]] + [{"bytes": b"junk"}]
    assert len(load(write_parquet(tmp_path / "a.parquet", table(image=images)), skip_bad=True)) == 5


def test_files_without_usage_are_split_by_their_pictures(tmp_path: Path) -> None:
    many = [[n % 7, text(RANDOM.integers(0, 256, (48, 48)).astype(np.uint8))] for n in range(300)]
    path = write_csv(tmp_path / "a.csv", [*many, *many[:50]], "emotion,pixels")
    with pytest.raises(InputError, match=r"usage.*emotion, pixels.*--split 0.1"):
        load(path)
    faces = load(path, split=0.2)
    public = faces.split("PublicTest")
    assert len(faces) == 350
    assert 35 < len(public) < 105
    assert set(faces.usage) == {"Training", "PublicTest"}
    assert not {face.tobytes() for face in public.pixels} & {face.tobytes() for face in faces.split("Training").pixels}
    turned = load(write_csv(tmp_path / "b.csv", [*many[::-1]], "emotion,pixels"), ("PublicTest",), split=0.2)
    assert {face.tobytes() for face in turned.pixels} == {face.tobytes() for face in public.pixels}
    with pytest.raises(InputError, match=r"--split 0.2"):
        load(write_csv(tmp_path / "c.csv", rows()), split=0.2)
    for wrong in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="over 0 and under 1"):
            load(path, split=wrong)
    parquet = load(write_parquet(tmp_path / "a.parquet", table().drop_columns(["usage"])), split=0.5)
    assert len(parquet) == 6


def test_folders_as_people_have_them(tmp_path: Path) -> None:
    for index, (folder, pixels) in enumerate(
        zip(["0", "Disgust", "FEAR", "happy ", "Sadness", "6"], PIXELS, strict=True)
    ):
        file = tmp_path / "Train" / folder / f"im{index}.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(picture(pixels, "png"))
        for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
            (file.parent / name).write_bytes(b"no picture")
        (file.parent / "@eaDir").mkdir()
    (tmp_path / "Train" / "Thumbs.db").write_bytes(b"no picture")
    (tmp_path / "PublicTest" / "3").mkdir(parents=True)
    (tmp_path / "PublicTest" / "3" / "a.png").write_bytes(picture(PIXELS[3], "png"))
    faces = load(tmp_path)
    assert sorted(faces.labels[faces.usage == "Training"].tolist()) == LABELS
    assert faces.labels[faces.usage == "PublicTest"].tolist() == [3]
    with pytest.raises(InputError, match=r"leave --split 0.1 out"):
        load(tmp_path, split=0.1)
    (tmp_path / "Train" / "bored").mkdir()
    (tmp_path / "Train" / "0" / "odd.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"odd\.txt': the picture cannot be decoded"):
        load(tmp_path)
    assert len(load(tmp_path, skip_bad=True)) == 7
