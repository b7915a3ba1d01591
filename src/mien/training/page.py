"""The report's page: figures and faces in, one self-contained HTML text out."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mien.observation import EMOTIONS
from mien.training.data import Faces
from mien.training.groups import worst

__all__ = [
    "PIPELINE_HEAD",
    "SETS_HEAD",
    "TRUST_HEAD",
    "page",
    "percent",
    "pipeline_rows",
    "sets_rows",
    "trust",
    "trust_rows",
]

SHOWN = 10
PARTS = ("precision", "recall", "f1")
TRUST = """<p>Left: of the faces for which the model says 80 %, about 80 % should be right. Right: how often it is
wrong when it may leave out the faces that it is least sure of.</p>"""
TRUST_BY_EMOTION = """<p>Of each emotion: how far its probability is from how often the label says it. A perfect model
would not get 0 either, for so few faces: beside it stands what it would get on average, and at most in 95 %.</p>"""
SETS = """<p>Which emotions are plausible: at 90 %, each emotion should be among them in 90 % of the faces that the
label says it of. The thresholds were fitted on PublicTest.</p>"""
PIPELINE = """<p>Each face enlarged, set into a larger frame, found, cut out and read, as a photo's faces are.</p>"""
SHOWN_FACES = f"""<p>Of each emotion, {SHOWN} drawn by chance among those that it gets right, and the {SHOWN} that it
gets wrong with the highest probability. Below each: what it says.</p>"""
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
svg, .chart img { max-width: 100%; background: white; border-radius: .4rem; }
.faces { display: flex; flex-wrap: wrap; gap: .4rem; margin: .2rem 0 .8rem; }
figure { margin: 0; text-align: center; font-size: .7rem; line-height: 1.2; }
figure img { width: 72px; height: 72px; image-rendering: pixelated; display: block; }
"""


def page(found: dict[str, Any], faces: Faces, probabilities: np.ndarray) -> str:
    """Return the page.

    Args:
        found: The figures, as `mien.training.evaluate` makes them.
        faces: The faces that the model was asked.
        probabilities: What it answered, shape (n, 7).
    """
    title = f"{found['model']['id']} on {found['split']}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{found['faces']:,} faces of {html.escape(found['data'])}.{_trained(found)}</p>",
        _summary(found),
        _comparison(found),
        "<h2>By emotion</h2>",
        _classes(found),
        "<h2>What is taken for what</h2>",
        _chart(_draw_confusion, found, (11, 5)),
        "<h2>For whom it fails</h2>",
        _failures(found),
        *(_attribute(attribute) for attribute in (*found["seen"], *found["attributes"])),
        "<h2>Do the probabilities mean what they say?</h2>",
        TRUST,
        _chart(_draw_trust, found, (11, 4.5)),
        TRUST_BY_EMOTION,
        _table(trust_rows(found), TRUST_HEAD),
        *_sets(found),
        *_pipeline(found),
        "<h2>Faces, right and wrong</h2>",
        SHOWN_FACES,
        *(_grid(index, faces, probabilities) for index in range(len(EMOTIONS))),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def percent(figure: dict[str, Any] | None) -> str:
    """Return an accuracy with its interval."""
    if not figure or figure["value"] is None:
        return "–"
    return (
        f"{100 * figure['value']:.1f} % ({100 * figure['low']:.1f} to {100 * figure['high']:.1f} %), "
        f"{figure['faces']:,} faces"
    )


def trust(calibration: dict[str, Any]) -> str:
    """Return an expected calibration error with its interval and its floor."""
    return (
        f"{calibration['ece']:.3f} ({calibration['low']:.3f} to {calibration['high']:.3f}); a perfect model on so few "
        f"faces: {calibration['floor']:.3f}, in 95 % at most {calibration['floor_high']:.3f}"
    )


TRUST_HEAD = ("", "calibration error", "95 % interval", "a perfect model", "Brier")


def trust_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return how far each emotion's probability is from how often the label says it, see TRUST_HEAD."""
    return [
        (
            emotion,
            f"{row['ece']:.3f}",
            f"{row['low']:.3f} to {row['high']:.3f}",
            f"{row['floor']:.3f}, at most {row['floor_high']:.3f}",
            f"{row['brier']:.3f}",
        )
        for emotion, row in found["class_calibration"].items()
    ]


SETS_HEAD = ("level", "plausible emotions a face", "the label is among them", "by emotion")


def sets_rows(sets: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return how often the truth is among the plausible emotions, see SETS_HEAD."""
    rows: list[tuple[str, ...]] = []
    for row in sets:
        classes = (f"{name} {100 * share['value']:.0f}" for name, share in row["classes"].items() if share["faces"])
        rows.append((f"{row['level']:.0%}", f"{row['mean_size']:.2f}", percent(row["covered"]), ", ".join(classes)))
    return rows


PIPELINE_HEAD = ("ground", "not found", "the others as raw crops", "through detector and crop")


def pipeline_rows(grounds: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return what becomes of the faces in the whole pipeline, see PIPELINE_HEAD."""
    return [(row["ground"], *(percent(row[name]) for name in ("missed", "raw", "through"))) for row in grounds]


def _sets(found: dict[str, Any]) -> list[str]:
    parts = [SETS, _table(sets_rows(found["sets"]), SETS_HEAD)] if found["sets"] else []
    if found["ferplus_sets"]:
        parts += ["<p>The same by the FER+ majority:</p>", _table(sets_rows(found["ferplus_sets"]), SETS_HEAD)]
    return parts


def _pipeline(found: dict[str, Any]) -> list[str]:
    if not found["pipeline"]:
        return []
    return ["<h2>What the whole pipeline costs</h2>", PIPELINE, _table(pipeline_rows(found["pipeline"]), PIPELINE_HEAD)]


def _trained(found: dict[str, Any]) -> str:
    taught = found["model"].get("trained_on")
    return f" The model was trained on: {html.escape(taught)}." if taught else ""


def _summary(found: dict[str, Any]) -> str:
    rows = [
        ("Accuracy (95 % interval)", percent(found["accuracy"])),
        ("Accuracy without the faces that also stand in Training", percent(found["accuracy_without_duplicates"])),
        ("Macro-F1", f"{found['macro_f1']:.3f}"),
        ("Lowest recall", f"{100 * found['lowest_recall']['value']:.1f} % ({found['lowest_recall']['emotion']})"),
        ("Agreement with the FER+ majority", percent(found["ferplus"])),
        ("Expected calibration error, 15 bins", trust(found["calibration"])),
        ("The same over bins of as many faces each", f"{found['calibration']['equal_mass']:.3f}"),
        (
            "Brier score, 0 to 2",
            f"{found['brier']['value']:.3f}; if the probabilities were true {found['brier']['floor']:.3f}",
        ),
        ("Negative log-likelihood", f"{found['negative_log_likelihood']:.3f}"),
    ]
    if found["ferplus_calibration"]:
        rows.append(("Expected calibration error by FER+ majority", trust(found["ferplus_calibration"])))
    if kept := found["abstention"]:
        rows.append(
            (
                f"Where it names an emotion (probability of {kept['threshold']:.2f} or more)",
                f"{percent(kept['accuracy'])}: {100 * kept['coverage']:.1f} % of all",
            )
        )
    return _table(rows)


def _comparison(found: dict[str, Any]) -> str:
    other = found["comparison"]
    if not other:
        return ""
    rows = [
        ("Accuracy of the other", percent(other["accuracy"])),
        (
            "Difference (95 % interval)",
            f"{100 * other['difference']:+.1f} ({100 * other['low']:+.1f} to {100 * other['high']:+.1f}) points",
        ),
        ("Right where the other is wrong; the reverse", f"{other['gained']}; {other['lost']}"),
        ("p, McNemar's exact test", f"{other['p']:.2g}"),
    ]
    return f"<h2>Compared with {html.escape(other['model'])}</h2>" + _table(rows)


def _classes(found: dict[str, Any]) -> str:
    rows = []
    for emotion, row in found["classes"].items():
        shares = ["–" if row[name] is None else f"{row[name]:.3f}" for name in PARTS]
        rows.append((emotion, *shares, f"{row['faces']:,}"))
    known = [[row[name] for row in found["classes"].values() if row[name] is not None] for name in PARTS]
    rows.append(("mean", *(f"{np.mean(values):.3f}" for values in known), f"{found['faces']:,}"))
    return _table(rows, ("", "precision", "recall", "F1", "faces"))


def _failures(found: dict[str, Any]) -> str:
    taken = [
        (f"{asked}, taken for {told}", f"{100 * share:.0f} % of them", f"{count:,} faces")
        for asked, told, share, count in worst(found["confusion"], EMOTIONS)
    ]
    rows = [(group["group"], percent(group)) for group in found["groups"]]
    return (
        f"<p>What goes wrong most often:</p>{_table(taken)}"
        "<p>Accuracy in parts of the faces. FER-2013 doesn't say who its people are, so how the figures differ by age, "
        f"sex or origin is not known.</p>{_table([('all', percent(found['accuracy'])), *rows])}"
    )


def _attribute(attribute: dict[str, Any]) -> str:
    """Say how the figures differ between the groups of an attribute."""
    name, rows = html.escape(attribute["attribute"]), [(part["group"], percent(part)) for part in attribute["groups"]]
    if not rows:
        return f"<h3>By {name}</h3><p>It is unknown of all these faces.</p>"
    test = ""
    if attribute["p"] is not None:
        test = (
            f" Groups dealt out by chance differ as much with p = {attribute['p']:.2g}, corrected for the number of "
            f"attributes {attribute['p_corrected']:.2g}."
        )
    unknown = f" It is unknown of {attribute['unknown']:,} faces." if attribute["unknown"] else ""
    gap = f"{100 * attribute['gap']:.1f} points lie between the best and the worst group."
    return f"<h3>By {name}</h3><p>{gap}{test}{unknown}</p>{_table(rows)}"


def _table(rows: Sequence[tuple[str, ...]], head: tuple[str, ...] = ()) -> str:
    first = "<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>" if head else ""
    others = ("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{first}{''.join(others)}</table>"


def _chart(draw: Callable[[list[Axes], dict[str, Any]], None], found: dict[str, Any], size: tuple[float, float]) -> str:
    figure = Figure(figsize=size, layout="constrained")
    draw(list(figure.subplots(1, 2).flat), found)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _draw_confusion(axes: list[Axes], found: dict[str, Any]) -> None:
    counts = np.array(found["confusion"])
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    for part, values, title in ((axes[0], counts, "faces"), (axes[1], shares, "% of the row")):
        part.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        part.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=45, ha="right")
        part.set_yticks(range(len(EMOTIONS)), EMOTIONS)
        part.set(title=title, xlabel="the model says", ylabel="the label says")
        for row, column in np.ndindex(*values.shape):
            colour = "white" if shares[row, column] > 55 else "black"
            part.text(column, row, f"{values[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=9)


def _draw_trust(axes: list[Axes], found: dict[str, Any]) -> None:
    bins = found["calibration"]["bins"]
    axes[0].plot([0, 100], [0, 100], color="grey", linestyle=":")
    said, was = [100 * b["said"] for b in bins], [100 * b["was"] for b in bins]
    axes[0].plot(said, was, marker="o")
    for x, y, b in zip(said, was, bins, strict=True):
        axes[0].annotate(str(b["faces"]), (x, y), textcoords="offset points", xytext=(0, -14), ha="center", fontsize=7)
    axes[0].set(xlabel="highest probability, %", ylabel="right, %", title="reliability", xlim=(0, 102), ylim=(0, 102))
    coverage, risk = zip(*found["risk_coverage"], strict=True)
    axes[1].plot([100 * c for c in coverage], [100 * r for r in risk])
    axes[1].set(xlabel="faces answered, %", ylabel="wrong among them, %", title="risk and coverage", xlim=(0, 102))
    axes[1].set_ylim(bottom=0)
    if kept := found["abstention"]:
        axes[1].axvline(100 * kept["coverage"], color="grey", linestyle=":")


def _grid(emotion: int, faces: Faces, probabilities: np.ndarray) -> str:
    answers, top = probabilities.argmax(1), probabilities.max(1)
    right = np.flatnonzero((faces.labels == emotion) & (answers == emotion))
    wrong = np.flatnonzero((faces.labels == emotion) & (answers != emotion))
    drawn = np.random.default_rng(0).permutation(right)[:SHOWN]
    surest = wrong[np.argsort(-top[wrong], kind="stable")][:SHOWN]
    rows = [f"<h3>{EMOTIONS[emotion]}</h3>"]
    for title, chosen in (("right", drawn), ("wrong", surest)):
        pictures = "".join(_face(faces.pixels[i], f"{EMOTIONS[answers[i]]} {100 * top[i]:.0f} %") for i in chosen)
        rows.append(f"<div>{title}</div><div class='faces'>{pictures or 'none'}</div>")
    return "\n".join(rows)


def _face(pixels: np.ndarray, caption: str) -> str:
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, format="png")
    data = base64.b64encode(picture.getvalue()).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )
