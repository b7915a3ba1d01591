"""Evaluation: figures against worked examples, and whole reports of Mien's models and of others'."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
import numpy as np
import onnx
import torch
from typer.testing import CliRunner

from mien.cli.app import app
from mien.errors import InputError, ModelError
from mien.models.evaluation import evaluation_of
from mien.observation import EMOTIONS
from mien.training import audit, card, data, evaluate, export, figures, groups
from mien.training.export import Calibration, round_weights, to_onnx
from mien.training.foreign import ForeignModel
from mien.training.model import EmotionNet, fold

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import calibration as simulated

pytestmark = pytest.mark.training


def bars(
    path: Path, labels: list[str], *, channels: int = 1, last: bool = False, kind: int = onnx.TensorProto.FLOAT
) -> Path:
    """A network of another's make that knows the bars of the test's faces: for each label, the mean of its rows."""
    weights = np.zeros((48 * 48, len(labels)), np.float32)
    for column, label in enumerate(labels):
        if label in EMOTIONS:
            mask = np.zeros((48, 48), np.float32)
            row = 4 + 6 * EMOTIONS.index(label)
            mask[row : row + 4, 6:42] = 10 / (4 * 36)
            weights[:, column] = mask.ravel()
    shape = ["n", 48, 48, channels] if last else ["n", channels, 48, 48]
    helper = onnx.helper
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["grey"], axes=[3 if last else 1], keepdims=0),
        helper.make_node("Reshape", ["grey", "flat_shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bars",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", len(labels)])],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.array([-1, 48 * 48], np.int64), "flat_shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = round_weights(fold(EmotionNet()))
    path = tmp_path_factory.mktemp("own") / "own.onnx"
    path.write_bytes(to_onnx(net, "fer2013", Calibration(1.0, 0.2), name="mien-1", trained_on="noise"))
    return path


def test_wilson_interval() -> None:
    found = figures.accuracy(np.arange(100) < 70)  # worked by hand from Wilson's formula
    assert (found["value"], found["faces"]) == (0.7, 100)
    assert found["low"] == pytest.approx(0.6042, abs=1e-4)
    assert found["high"] == pytest.approx(0.7811, abs=1e-4)
    assert figures.accuracy(np.zeros(0, bool))["value"] is None


def test_classes_and_confusion() -> None:
    matrix = figures.confusion(np.array([0, 0, 0, 1, 3]), np.array([0, 0, 1, 1, 0]))
    assert matrix.sum() == 5
    assert matrix[0, 1] == 1
    table = figures.classes(matrix)
    assert table["angry"] == {"precision": 2 / 3, "recall": 2 / 3, "f1": pytest.approx(2 / 3), "faces": 3}
    assert table["happy"] == {"precision": None, "recall": 0.0, "f1": 0.0, "faces": 1}
    assert table["sad"]["recall"] is None


def test_groups_tell_for_whom_a_model_fails(voted: Path) -> None:
    faces = data.load(voted, ("PublicTest",))
    pixels = faces.pixels.copy()
    pixels[:20] //= 3
    faces = data.Faces(pixels, faces.labels, faces.votes, faces.majority, faces.usage)
    right = np.arange(35) >= 20  # wrong on the dark ones
    found = {group["group"]: group for group in groups.groups(faces, right)}
    assert found["the darkest quarter"]["value"] == 0
    assert found["the brightest quarter"]["value"] == 1
    assert "FER+'s majority sees what the label says" not in found  # the votes are for the next emotion
    assert found["FER+'s majority sees another emotion"]["faces"] == 34
    plain = data.Faces(pixels, faces.labels, 0 * faces.votes, faces.majority * 0 - 1, faces.usage)
    assert not any("FER+" in group["group"] for group in groups.groups(plain, right))


def test_gap_between_groups_is_told_from_chance() -> None:
    random = np.random.default_rng(0)
    right = random.random(1000) < 0.6
    right[:200] = random.random(200) < 0.9
    known = np.array(["young"] * 200 + ["old"] * 700 + [""] * 100)
    by_chance = np.where(random.random(1000) < 0.5, "left", "right")
    age, hand, only = groups.attributes({"age": known, "hand": by_chance, "only": np.full(1000, "a")}, right)
    assert age["gap"] == pytest.approx(right[:200].mean() - right[200:900].mean())
    assert [group["group"] for group in age["groups"]] == ["old", "young"]
    assert age["unknown"] == 100
    assert age["p"] < 0.001
    assert age["p_corrected"] == pytest.approx(2 * age["p"]), "of two tests, by Holm's method"
    assert hand["p"] > 0.01
    assert hand["p_corrected"] == hand["p"]
    assert only["p"] is None
    assert groups.lines(age)[0].startswith("by age: ")


def test_groups_that_pictures_tell_of_are_quarters_and_steps_of_yaw(voted: Path) -> None:
    pixels = data.load(voted, ("PublicTest",)).pixels.copy()
    pixels[:8] //= 3
    yaw = np.array([np.nan, -5, 15, -30, 50, *[0] * 30], np.float32)
    columns = groups.seen(pixels, yaw)
    assert set(columns) == {"light", "contrast", "sharpness", "yaw"}
    assert set(columns["light"][:8]) == {"1 (least)"}
    assert [int((columns["light"] == quarter).sum()) for quarter in sorted(set(columns["light"]))] == [9, 8, 9, 9]
    assert columns["yaw"][:5].tolist() == ["", "0 to 10°", "10 to 25°", "25 to 40°", "over 40°"]
    assert "yaw" not in groups.seen(pixels, None)


def test_list_of_groups_is_read_and_what_is_wrong_in_it_named(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("face,yaw,sex\n" + "".join(f"{face},{face - 20},{'fm'[face % 2]}\n" for face in range(40)))
    columns = groups.read(path, 50)
    assert set(columns["sex"]) == {"f", "m", ""}
    assert list(columns["sex"][[0, 1, 49]]) == ["f", "m", ""]
    assert len(set(columns["yaw"]) - {""}) == 4, "numbers of many kinds are cut into quarters"
    assert [(columns["yaw"] == quarter).sum() for quarter in sorted(set(columns["yaw"]) - {""})] == [10, 10, 10, 10]
    for text, message in (
        ("number,sex\n0,f\n", "has the columns number, sex: expected face"),
        ("face\n0\n", "expected face, the number .* and one for each attribute"),
        ("", "has the columns none"),
        ("face,sex\n50,f\n", "line 2: expected a face from 0 to 49, found '50'"),
        ("face,sex\nx,f\n", "found 'x'"),
        ("face,sex\n1,f\n1,m\n", "line 3: face 1 stands in the list twice"),
        ("face,sex\n1\n", "line 2: expected 2 columns"),
        ("face,sex\n1,f,m\n", "line 2: expected 2 columns"),
        ("face,sex\n1,\n", "column sex: it is empty"),
        ("face,name\n" + "".join(f"{face},n{face}\n" for face in range(30)), "holds 30 different words"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            groups.read(path, 50)
    path.write_bytes(b"face,sex\n1,\xff\n")
    with pytest.raises(InputError, match="cannot read the groups"):
        groups.read(path, 50)
    with pytest.raises(InputError, match="cannot read the groups"):
        groups.read(tmp_path / "none.csv", 50)


def test_report_says_how_listed_groups_differ(own: Path, dataset: Path, tmp_path: Path) -> None:
    usage = data.load(dataset).usage
    public = np.flatnonzero(usage == "PublicTest")
    rows = [f"{face},{'left' if face < public[17] else 'right'},<b>\n" for face in public]
    (tmp_path / "groups.csv").write_text("face,side,mark\n" + "".join(rows))
    command = ["evaluate", str(own), "--data", str(dataset), "--groups", str(tmp_path / "groups.csv")]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "report")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "by side: " in done.output
    report = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    side, mark = report["attributes"]
    assert [(group["group"], group["faces"]) for group in side["groups"]] == [("left", 17), ("right", 18)]
    assert mark["p"] is None
    light = report["seen"][0]
    assert light["attribute"] == "light"
    assert light["p_corrected"] >= light["p"], "the tests of all attributes are corrected for each other"
    assert "by light: " in done.output
    text = (tmp_path / "report" / "evaluation.html").read_text()
    assert "<h3>By side</h3>" in text
    assert "&lt;b&gt;" in text


def test_worst_confusions_come_first() -> None:
    matrix = [[8, 2, 0], [0, 5, 5], [0, 1, 0]]
    found = groups.worst(matrix, ("angry", "happy", "sad"), 2)
    assert found == [("sad", "happy", 1.0, 1), ("happy", "sad", 0.5, 5)]


def test_calibration_error() -> None:
    probabilities = np.array([[0.8] + [0.2 / 6] * 6] * 10)
    right = np.arange(10) < 6
    found = figures.calibration(probabilities, right)
    assert found["ece"] == pytest.approx(0.2)
    assert found["bins"] == [{"said": pytest.approx(0.8), "was": 0.6, "faces": 10}]


def test_a_perfect_model_stays_at_the_floor_and_another_lies_above_it() -> None:
    dice = np.random.default_rng(3)
    errors, inside = [], 0
    for _ in range(12):
        probabilities = dice.dirichlet(np.full(7, 0.4), 1500)
        labels = (probabilities.cumsum(1) < dice.random((1500, 1))).sum(1).clip(0, 6)
        right = probabilities.argmax(1) == labels
        found = figures.calibration(probabilities, right)
        errors.append(found["ece"])
        inside += found["ece"] <= found["floor_high"]
        assert found["low"] <= found["floor"]
    assert np.mean(errors) == pytest.approx(found["floor"], rel=0.25), "the floor is what a perfect model gets"
    assert inside >= 9
    wrong = figures.calibration(probabilities, right & (dice.random(1500) < 0.7))
    assert wrong["low"] > wrong["floor_high"]
    assert wrong["low"] < wrong["ece"] < wrong["high"] + wrong["floor"]
    assert wrong["equal_mass"] == pytest.approx(wrong["ece"], abs=0.03)


@pytest.mark.parametrize(("steep", "rare"), [(1.0, False), (0.6, True)])
def test_the_interval_of_a_calibration_error_holds_the_true_one(steep: float, *, rare: bool) -> None:
    """Of true probabilities and of others; `make proof` simulates more kinds, more often."""
    assert simulated.coverage(1000, steep, 20, rare=rare, of=100_000).held >= 0.8


def test_brier_scores_and_calibration_by_emotion() -> None:
    shares = np.array([[0.75, 0.25, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]])
    found = figures.brier(shares, np.array([0, 1]))  # by hand: (0.25² + 0.25² + 1 + 1) / 2; 0.75 · 0.25 · 2 / 2
    assert found == {"value": pytest.approx(1.0625), "floor": pytest.approx(0.1875)}
    table = figures.class_calibration(shares, np.array([0, 1]))
    assert set(table) == set(EMOTIONS)
    assert table["angry"]["brier"] == pytest.approx((0.25**2 + 1) / 2)
    assert table["happy"]["ece"] == table["happy"]["brier"] == 0


def test_each_emotion_is_plausible_in_its_share_of_new_faces() -> None:
    dice = np.random.default_rng(1)
    rare = np.array([0.3, 0.02, 0.1, 0.2, 0.1, 0.1, 0.18])

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = dice.choice(7, count, p=rare)
        scores = dice.normal(size=(count, 7)) + 2 * np.eye(7)[labels]
        return np.exp(scores) / np.exp(scores).sum(1, keepdims=True), labels

    for level, least in figures.plausible_from(*drawn(4000)):
        probabilities, labels = drawn(20_000)
        covered = (probabilities >= least)[np.arange(len(labels)), labels]
        for emotion in range(7):
            assert covered[labels == emotion].mean() == pytest.approx(level, abs=0.06)
    ((_, least),) = figures.plausible_from(np.full((5, 7), 1 / 7), np.zeros(5, np.int64), [0.9])
    assert least == (0.0,) * 7, "of too few faces nothing is left out"


def test_what_is_plausible_is_written_beside_a_network_that_stays_as_it_is(
    own: Path, dataset: Path, tmp_path: Path
) -> None:
    model = tmp_path / "own.onnx"
    shutil.copy(own, model)
    public = data.load(dataset, ("PublicTest",))
    before = evaluate.load_model(model)
    export.teach(model, public)
    after = evaluate.load_model(model)
    assert (after.classify(public.pixels) == before.classify(public.pixels)).all()
    graphs = [onnx.load(path).graph.SerializeToString(deterministic=True) for path in (own, model)]
    assert graphs[0] == graphs[1]
    assert [level for level, _ in after.contract.plausible] == list(figures.LEVELS)
    found = evaluate.evaluate(model, dataset).figures
    assert [row["level"] for row in found["sets"]] == list(figures.LEVELS)
    for row in found["sets"]:
        assert row["covered"]["value"] >= row["level"] - 0.15
        assert 1 <= row["mean_size"] <= 7


def test_the_whole_pipeline_is_measured_where_it_is_asked_for(own: Path, dataset: Path, tmp_path: Path) -> None:
    command = ["evaluate", str(own), "--data", str(dataset), "--pipeline", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert [row["ground"] for row in found["pipeline"]] == ["grey", "repeated edges"]
    for row in found["pipeline"]:  # noise with a bar is no face
        assert row["missed"]["value"] > 0.9
        assert row["raw"]["faces"] == row["through"]["faces"] == row["missed"]["faces"] - row["missed"]["right"]
    assert "not found" in result.output
    assert "through detector and crop" in (tmp_path / "evaluation.html").read_text()


def test_risk_falls_with_coverage_where_the_sure_answers_are_right() -> None:
    top = np.linspace(0.3, 0.9, 50)
    probabilities = np.column_stack([top, *[(1 - top) / 6] * 6])
    curve = figures.risk_coverage(probabilities, np.arange(50) >= 10)
    assert curve[-1] == (1.0, 0.2)
    assert all(risk == 0 for coverage, risk in curve if coverage <= 0.8)


def test_mcnemar() -> None:
    right = np.array([True] * 8 + [False] * 2 + [True] * 90)
    other = np.array([False] * 8 + [True] * 2 + [True] * 90)
    found = figures.compare(right, other)
    assert (found["gained"], found["lost"]) == (8, 2)
    assert found["p"] == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert found["difference"] == pytest.approx(0.06)
    assert figures.compare(right, right)["p"] == 1
    assert figures.compare(np.ones(2000, bool), np.zeros(2000, bool))["p"] < 1e-300


def test_report_of_our_own_model(own: Path, dataset: Path, tmp_path: Path) -> None:
    report = evaluate.evaluate(own, dataset, out=tmp_path / "report", compare=own)
    found = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert found["split"] == "PublicTest"
    assert found["faces"] == sum(map(sum, found["confusion"])) == 35
    assert found["accuracy"]["right"] == sum(found["confusion"][i][i] for i in range(7))
    assert found["model"]["trained_on"] == "noise"
    assert 0 <= found["abstention"]["coverage"] <= 1
    assert found["comparison"]["gained"] == found["comparison"]["lost"] == 0
    assert found["ferplus"] is None
    assert found["training_faces"] == 140
    assert "agreement" not in "\n".join(report.lines())
    shutil.copy(own, tmp_path / "model.onnx")
    shutil.copy(report.files[0], tmp_path / "model.evaluation.json")
    kept = evaluation_of(tmp_path / "model.onnx", found["model"]["id"])
    assert kept
    assert (kept.ferplus, kept.accuracy.faces) == (None, 35)
    page = (tmp_path / "report" / "evaluation.html").read_text()
    assert page.count("<svg") == 2
    assert "taken for" in page
    assert "the darkest quarter" in page
    assert page.count("data:image/png;base64") >= 35
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert any("accuracy" in line for line in report.lines())


@pytest.mark.parametrize(("channels", "last"), [(1, False), (3, True)])
def test_model_of_another_make(dataset: Path, tmp_path: Path, channels: int, last: bool) -> None:
    labels = ["neutral", "happy", "contempt", "surprise", "sad", "disgust", "fear", "angry"]
    path = bars(tmp_path / "other.onnx", labels, channels=channels, last=last)
    asked = ["Neutral", "happiness", "contempt", "surprise", "sadness", "disgust", "fear", "anger"]
    report = evaluate.evaluate(path, dataset, labels=asked, input_range="0-1")
    assert report.figures["accuracy"]["value"] == 1
    assert report.figures["accuracy_without_duplicates"]["faces"] == 35
    assert report.files == []
    wrong = [*asked[::-1]]
    assert evaluate.evaluate(path, dataset, labels=wrong).figures["accuracy"]["value"] < 0.5
    command = ["evaluate", str(path), "--data", str(dataset), "--labels", ", ".join(asked), "--input-range", "0-1"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert "accuracy                      100.0%" in done.output


def test_model_whose_pixels_are_normalised_or_whole_numbers(dataset: Path, tmp_path: Path) -> None:
    whole = bars(tmp_path / "whole.onnx", list(EMOTIONS), kind=onnx.TensorProto.UINT8)
    double = bars(tmp_path / "double.onnx", list(EMOTIONS), kind=onnx.TensorProto.DOUBLE)
    colour = bars(tmp_path / "colour.onnx", list(EMOTIONS), channels=3)
    assert evaluate.evaluate(whole, dataset).figures["accuracy"]["value"] == 1
    assert evaluate.evaluate(double, dataset).figures["accuracy"]["value"] == 1
    turned = {"mean": (0.485, 0.456, 0.406), "std": (-0.229, -0.224, -0.225)}  # the sign turns light into dark
    assert evaluate.evaluate(colour, dataset, input_range="0-1", **turned).figures["accuracy"]["value"] == 0
    command = ["evaluate", "--model", str(colour), "--data", str(dataset), "--input-range", "0-1"]
    done = CliRunner().invoke(app, [*command, "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"])
    assert "accuracy                      100.0%" in done.output
    assert "no page was written: --out FOLDER asks for it" in done.output
    for option, value, said in [
        (
            "--mean",
            "1,2",
            r"the mean of '.*' is 1\.0, 2\.0: expected one number, or one for each .* \(3\)",
        ),
        ("--std", "0", "has a 0"),
        ("--std", "x", "--std is 'x': expected a number"),
        ("--mean", "nan", "expected one number"),
    ]:
        with pytest.raises(InputError, match=said):
            CliRunner().invoke(app, [*command, option, value], catch_exceptions=False)


def test_better_model_is_told_from_a_worse(own: Path, dataset: Path, tmp_path: Path) -> None:
    path = bars(tmp_path / "other.onnx", list(EMOTIONS))
    found = evaluate.evaluate(path, dataset, compare=own).figures["comparison"]
    assert found["lost"] == 0
    assert found["p"] < 1e-6
    assert found["difference"] > 0.5


def test_what_cannot_be_evaluated(own: Path, dataset: Path, tmp_path: Path) -> None:
    eight = bars(tmp_path / "eight.onnx", [*EMOTIONS, "contempt"])
    with pytest.raises(ModelError, match="8 scores a face for 7 labels"):
        evaluate.evaluate(eight, dataset)
    with pytest.raises(InputError, match="must name each emotion once; look at angry"):
        ForeignModel(eight, ["happy"])
    with pytest.raises(InputError, match="unknown input range '0-2'"):
        ForeignModel(eight, input_range="0-2")
    with pytest.raises(InputError, match="unknown split 'Test'"):
        evaluate.evaluate(own, dataset, split="Test")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"labels.*mean.*std"):
        evaluate.evaluate(own, dataset, labels=EMOTIONS)
    wild = onnx.load(bars(tmp_path / "wild.onnx", list(EMOTIONS)))
    next(one for one in wild.graph.initializer if one.name == "weights").CopyFrom(
        onnx.numpy_helper.from_array(np.full((48 * 48, 7), np.inf, np.float32), "weights")
    )
    onnx.save(wild, tmp_path / "wild.onnx")
    with pytest.raises(ModelError, match="scores that are no finite numbers"):
        evaluate.evaluate(tmp_path / "wild.onnx", dataset)
    with pytest.raises(ModelError, match=r"its input is tensor\(int64\)"):
        evaluate.evaluate(bars(tmp_path / "long.onnx", list(EMOTIONS), kind=onnx.TensorProto.INT64), dataset)
    (tmp_path / "text.onnx").write_text("hello")
    for name in ("text.onnx", "nothing.onnx"):
        with pytest.raises(ModelError, match="cannot read model"):
            evaluate.evaluate(tmp_path / name, dataset)


def test_audit_finds_exact_and_near_copies_and_nothing_else(dataset: Path, tmp_path: Path) -> None:
    faces = data.load(dataset)
    assert audit.leaks(faces) == []
    pixels = faces.pixels.copy()
    pixels[140] = pixels[3]  # PublicTest 0 is Training 3
    near = pixels[5].astype(int)
    near[::7, ::7] += 1
    pixels[180] = near.clip(0, 255)
    pixels[6], pixels[181] = 90, 40  # blank, but not equal
    changed = data.Faces(pixels, faces.labels, faces.votes, faces.majority, faces.usage)
    found = audit.leaks(changed)
    assert [(leak.face, leak.split, leak.other_face, leak.other_split) for leak in found] == [
        (140, "PublicTest", 3, "Training"),
        (180, "PrivateTest", 5, "Training"),
    ]
    assert found[0].correlation == 1
    assert audit.ALIKE < found[1].correlation < 1
    assert audit.audit(dataset, tmp_path / "leaks.csv") == []
    assert next(csv.reader((tmp_path / "leaks.csv").read_text().splitlines()))[0] == "split"


def test_audit_needs_no_model_and_counts_pictures(dataset: Path, tmp_path: Path) -> None:
    lines = dataset.read_text().splitlines()
    copied = lines[1].replace("Training", "PublicTest")
    (tmp_path / "some.csv").write_text("\n".join([*lines, lines[1], copied]))  # one picture, twice in Training
    command = ["evaluate", "--data", str(tmp_path / "some.csv")]
    done = CliRunner().invoke(app, [*command, "--audit", str(tmp_path / "leaks.csv")], catch_exceptions=False)
    assert done.output == f"pictures in two splits: 1 of PublicTest stand in Training (2 pairs): {tmp_path}/leaks.csv\n"
    assert len((tmp_path / "leaks.csv").read_text().splitlines()) == 3
    with pytest.raises(InputError, match="give another file with --audit"):
        audit.audit(dataset, tmp_path / "some.csv" / "leaks.csv")
    with pytest.raises(InputError, match="nothing to evaluate: give a MODEL"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    with pytest.raises(InputError, match="two models are named, 'a' and 'b'"):
        CliRunner().invoke(app, [*command, "a", "--model", "b"], catch_exceptions=False)


def test_copies_of_training_are_left_out_of_the_second_figure(tmp_path: Path, dataset: Path) -> None:
    lines = dataset.read_text().splitlines()
    copied = lines[1].replace("Training", "PublicTest")
    (tmp_path / "some.csv").write_text("\n".join([*lines, copied]))
    path = bars(tmp_path / "other.onnx", list(EMOTIONS))
    found = evaluate.evaluate(path, tmp_path / "some.csv").figures
    assert (found["accuracy"]["faces"], found["accuracy_without_duplicates"]["faces"]) == (36, 35)


def test_card_tells_the_figures_of_the_report(own: Path, dataset: Path, tmp_path: Path) -> None:
    report = evaluate.evaluate(own, dataset, out=tmp_path)
    text = card.write(
        [tmp_path / "evaluation.json"], tmp_path / "card.md", command="mien train --data faces"
    ).read_text()
    assert f"{100 * report.figures['accuracy']['value']:.1f} %" in text
    assert "mien train --data faces" in text
    assert "Trained on the 140 Training faces" in text
    assert "Looks at: the face as it is." in text
    assert all(emotion in text for emotion in EMOTIONS)
    with pytest.raises(InputError, match="no evaluation"):
        card.write([tmp_path / "nothing.json"], tmp_path / "card.md", command="")


@pytest.mark.data
def test_public_test_stands_again_in_training_as_often_as_the_data_say(request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue("data")
    faces = data.load(folder / "fer2013.parquet", ("Training", "PublicTest"))
    assert (len(faces.split("Training")), len(faces.split("PublicTest"))) == (28_709, 3_589)
    public = faces.split("PublicTest")
    copies = {pair[0] for pair in audit.duplicates(public.pixels[:600], faces.split("Training").pixels)}
    assert math.isclose(len(copies) / 600, 290 / 3589, abs_tol=0.03)
    voted = public.majority >= 0
    assert (public.majority[voted] == public.labels[voted]).mean() == pytest.approx(0.657, abs=0.03)
