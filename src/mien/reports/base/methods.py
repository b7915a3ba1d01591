"""The methods section that a report prints: what it was made with goes in, sentences and citations come out.

It says what was done and cites where that is described, so that who writes a study up can copy it, and knows what to
add.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from mien.reports.base.parts import Methods
from mien.reports.base.recordings import READABLE, TABLES, Inputs, Recording
from mien.reports.base.usual_face import Calibration
from mien.version import __version__

__all__ = ["REFERENCES", "methods_for", "methods_of"]

REFERENCES: dict[str, str] = {
    "Mien": f"The Mien founders (2026). Mien, version {__version__} [software].",
    "Wu 2023": "Wu, W., Peng, H., & Yu, S. (2023). YuNet: A tiny millisecond-level face detector. Machine Intelligence "
    "Research, 20, 656–665. doi:10.1007/s11633-023-1423-y",
    "Goodfellow 2015": "Goodfellow, I. J., et al. (2015). Challenges in representation learning: A report on three "
    "machine learning contests. Neural Networks, 64, 59–63. doi:10.1016/j.neunet.2014.09.005",
    "Barsoum 2016": "Barsoum, E., Zhang, C., Ferrer, C. C., & Zhang, Z. (2016). Training deep networks for facial "
    "expression recognition with crowd-sourced label distribution. ICMI 2016, 279–283. doi:10.1145/2993148.2993165",
    "Romano 2005": "Romano, J. P., & Wolf, M. (2005). Exact and approximate stepdown methods for multiple hypothesis "
    "testing. Journal of the American Statistical Association, 100, 94–108. doi:10.1198/016214504000000539",
    "Wilson 1927": "Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. "
    "Journal of the American Statistical Association, 22, 209–212. doi:10.1080/01621459.1927.10502953",
    "Efron 1993": "Efron, B., & Tibshirani, R. J. (1993). An introduction to the bootstrap. Chapman & Hall.",
    "Hasson 2004": "Hasson, U., Nir, Y., Levy, I., Fuhrmann, G., & Malach, R. (2004). Intersubject synchronization of "
    "cortical activity during natural vision. Science, 303, 1634–1640. doi:10.1126/science.1089506",
    "Nastase 2019": "Nastase, S. A., Gazzola, V., Hasson, U., & Keysers, C. (2019). Measuring shared responses across "
    "subjects using intersubject correlation. Social Cognitive and Affective Neuroscience, 14, 667–685.",
    "Maris 2007": "Maris, E., & Oostenveld, R. (2007). Nonparametric statistical testing of EEG- and MEG-data. Journal "
    "of Neuroscience Methods, 164, 177–190. doi:10.1016/j.jneumeth.2007.03.024",
    "Hutto 2014": "Hutto, C. J., & Gilbert, E. (2014). VADER: A parsimonious rule-based model for sentiment analysis "
    "of social media text. ICWSM 2014, 216–225. doi:10.1609/icwsm.v8i1.14550",
}
"""What is cited, by the words that stand in the text."""

STATISTICS = {
    "film": "The score is the mean probability of happy over the readable faces, weighed by time; its 95 % interval "
    "comes from a studentized bootstrap over stretches of the film [Efron 1993].",
    "meeting": "What faces showed was averaged over each utterance, weighed by time; intervals come from a studentized "
    "bootstrap over utterances [Efron 1993]. Where the page says so, how pleasant words are was judged by VADER "
    "[Hutto 2014].",
    "audience": "The viewer is the unit. Where events were named, rises over the mean of the seconds before each were "
    "tested by exchanging the signs of whole viewers, corrected for all events, emotions and moments by a step-down "
    "maximum statistic [Romano 2005]. Moving together is inter-subject correlation [Hasson 2004] in sliding windows, "
    "each viewer with the sum of the others [Nastase 2019], tested against surrogates of whole curves by the maximum "
    "over all windows and emotions; where groups are compared over the whole course, by clusters with viewers "
    "exchanged [Maris 2007]. Intervals come from a bootstrap over viewers [Efron 1993], those of shares are Wilson's "
    "[Wilson 1927].",
    "album": "Photos were ranked by expression, sharpness, pose and exposure, one of each group of near-duplicates.",
}
"""What each report did with the probabilities."""

SEVEN = "probabilities of seven expressions (angry, disgust, fear, happy, sad, surprise, neutral)"
OURS = ("mien-7", "mien-8", "mien-9")
"""What the names of models begin with that learned from FER-2013 and came with Mien."""
DIGITS = "After the @ stand the first eight digits of the SHA-256 of the model's file"


def methods_for(
    kind: str, inputs: Inputs, detector: str, recordings: Sequence[Recording], calibration: Calibration | None = None
) -> Methods:
    """Return what a methods section may say of a report on recordings.

    Args:
        kind: Which report.
        inputs: What it is made of.
        detector: What found the faces in videos.
        recordings: What was seen.
        calibration: From which time usual faces were taken, if they were.
    """
    models = [str(model) for recording in recordings for model in recording.faces["model"].unique().to_list() if model]
    videos = not inputs.store and any(Path(path).suffix.lower() not in TABLES for path in inputs.paths)
    return methods_of(kind, models, detector, len(recordings), inputs.fps if videos else None, calibration)


def methods_of(
    kind: str,
    models: Iterable[str],
    detector: str,
    recordings: int,
    fps: float | None,
    calibration: Calibration | None = None,
) -> Methods:
    """Return what a methods section may say.

    Args:
        kind: Which report.
        models: The models that read the faces, as in the record: name@hash.
        detector: What found the faces.
        recordings: How many recordings, or photos, there were.
        fps: So many times a second videos were looked at; None: photos, or a store.
        calibration: From which time usual faces were taken, if they were.
    """
    named = sorted({model for model in models if model})
    what = "photos" if kind == "album" else "recordings"
    looked = "" if fps is None else f", looked at {fps:g} times a second,"
    by = f"the model {' and '.join(named)}" if named else "a model that the tables do not name"
    finder = "YuNet [Wu 2023]" if detector == "yunet" else f"the detector {detector}"
    finder += "" if fps or kind == "album" else ", unless another detector was set then,"
    followed = "" if kind == "album" else " and followed from frame to frame"
    network = f"The model gives {SEVEN}."
    if named and all(model.startswith(OURS) for model in named):
        votes = " with the votes of FER+ [Barsoum 2016]" if any("ferplus" in model for model in named) else ""
        learned = f"the images of FER-2013 [Goodfellow 2015]{votes}"
        network = f"The model, a convolutional network that learned from {learned}, gives calibrated {SEVEN}."
    packages = ", ".join(f"{name} {_version(name)}" for name in ("onnxruntime", "numpy", "polars"))
    sentences = (
        f"Facial expressions in {recordings:,} {what}{looked} were read by Mien {__version__} [Mien], with {by}.",
        f"{DIGITS}." if any("@" in model for model in named) else "",
        f"Faces were found by {finder}{followed}; those of fewer than {READABLE} pixels were left out.",
        network,
        STATISTICS[kind],
        f"Where the page says so, each person's own level was subtracted: the median over {calibration.words}."
        if calibration
        else "",
        f"All was computed with Python {platform.python_version()}, {packages}.",
    )
    text = " ".join(filter(None, sentences))
    cited = sorted((text.index(f"[{key}]"), reference) for key, reference in REFERENCES.items() if f"[{key}]" in text)
    return Methods(text, [reference for _, reference in cited])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
