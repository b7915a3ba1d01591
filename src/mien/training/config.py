"""What shapes a run: its defaults, its limits, and the file it is read from and saved to."""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mien.errors import ConfigError
from mien.observation import MODEL_NAME, Emotion

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["TrainConfig", "read", "validated"]

Share = Annotated[float, Field(ge=0, lt=1)]
MOST_SIDE = 224
"""The side in pixels of the largest face that a network is trained on."""
Depth = Annotated[int, Field(ge=1, le=64)]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that shapes a run; saved beside its checkpoints as `config.json`.

    Attributes:
        data: The data set, as `mien.training.data.load` reads it.
        out: The run's folder: a path or an fsspec URL such as `s3://bucket/run`.
        name: What the models are called that the run publishes; each observation carries it.
        epochs: Passes over the Training faces.
        batch_size: Faces a step, on each device.
        network: `mien`, the one that ships, or `efficientnet-lite0`, a teacher that begins with ImageNet's weights;
            `width` and `depths` are of the first alone.
        optimizer: `sgd`, with Nesterov momentum, or `adamw`.
        learning_rate: The peak of the one-cycle schedule.
        weight_decay: On convolutions and heads, not on norms and biases.
        label_smoothing: On FER-2013's labels.
        start_from: A checkpoint whose averaged weights the run begins with, or several of one make, whose mean it
            begins with; None: weights drawn by chance.
        teachers: Checkpoints of the networks behind the soft labels, or `votes`, which stands for the FER+ votes with
            no network; none: the labels alone.
        teacher_share: How much of a face's target is its soft label; the rest is its label.
        class_balance: Each label's loss is weighted by its count to the minus this power; 0: all alike.
        label_weights: Factors on the loss of single labels beside that, for those that the network misses too often.
        frozen: So many stages of `mien`, from the first, stay as they are; a third head, which reads the first two,
            then goes on seeing what it was taught on.
        width: Channels, as a multiple of 48, 96 and 192 in the three stages.
        depths: Blocks in each of the three stages; more than `start_from` has begin by passing on what they get.
        size: The side in pixels to which a face is enlarged before the network sees it.
        mirror: Whether the model answers for a face and its mirror image together, in twice the time; training itself
            takes no longer.
        ferplus_weight: The weight of the head that learns the FER+ votes; 0 where there are no votes.
        ema_decay: Of the averaged weights, which are the ones kept.
        small_size: The side in pixels of the faces in the first half of the run (progressive resizing).
        rotate: The largest rotation, in degrees.
        zoom: The largest change of size, as a share.
        shift: The largest shift, as a share of the side.
        erase: The share of faces of which a rectangle is blanked.
        coarse: The share of faces that are shrunk to half their side and enlarged again.
        dark: The share of faces that get less light, down to a tenth.
        jpeg: The share of faces that are compressed as JPEG, at a quality of 30 to 90.
        recut: A file of Training's faces as the pipeline cuts them, which `mien.run.recut` writes; None: none.
        recut_share: The share of faces that are seen as they stand there.
        covered: A file of Training's faces that are hidden, which it writes too; None: none. Of these, the network is
            to say that all emotions are as likely (outlier exposure, Hendrycks et al. 2019, arXiv:1812.04606).
        covered_share: The share of faces that are seen so.
        mixup: How strongly two faces and their targets are blended, the alpha of Zhang et al. 2018 (arXiv:1710.09412);
            0: not at all.
        consistency: How much it counts that two augmented looks at a face are answered alike, in twice the time: the
            weight of the distance between both answers (Jensen-Shannon, Lin 1991); 0: one look.
        attention: How much it counts that a face and its mirror image are answered from the same places, in twice the
            time: the weight of the mean square between their maps of attention (erasing attention consistency, Zhang
            et al. 2022, arXiv:2207.10299); the mirror image has no target of its own. 0: it is not looked at.
        sharpness: How far uphill the weights are moved for each gradient, rho of Foret et al. 2021 (arXiv:2010.01412),
            in twice the time; 0: not at all.
        seed: Of everything that is drawn by chance.
        precision: `32-true`, `bf16-mixed`, or `auto`: the second on a GPU or CPU that computes in bfloat16, else the
            first.
        patience: Stop after so many epochs without a better accuracy on PublicTest; None: never.
        log_to: Where the curves go besides `metrics.csv` and `curves.png`, which are always written.
        split: The share of faces held out as PublicTest, for data that does not tell what each is for; None: it does.
        skip_bad: Leave out rows of the data that cannot be used.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    data: Annotated[str, Field(min_length=1)]
    out: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(pattern=f"^{MODEL_NAME}$", max_length=60)] = "mien"
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 30
    batch_size: Annotated[int, Field(ge=2, le=65_536)] = 128
    network: Literal["mien", "efficientnet-lite0"] = "mien"
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.1
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    label_smoothing: Share = 0.1
    start_from: str | tuple[str, ...] | None = None
    teachers: tuple[str, ...] = ()
    teacher_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    class_balance: Annotated[float, Field(ge=0, le=1)] = 0.0
    label_weights: dict[Emotion, Annotated[float, Field(gt=0, le=100)]] = field(default_factory=dict)
    frozen: Annotated[int, Field(ge=0, le=2)] = 0
    width: Annotated[float, Field(gt=0, le=8)] = 1.0
    depths: tuple[Depth, Depth, Depth] = (1, 2, 2)
    size: Annotated[int, Field(ge=48, le=MOST_SIDE)] = 48
    mirror: bool = False
    ferplus_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    ema_decay: Share = 0.998
    small_size: Annotated[int, Field(ge=16, le=MOST_SIDE)] = 36
    rotate: Annotated[float, Field(ge=0, le=180)] = 12.0
    zoom: Share = 0.12
    shift: Share = 0.08
    erase: Annotated[float, Field(ge=0, le=1)] = 0.25
    coarse: Annotated[float, Field(ge=0, le=1)] = 0.0
    dark: Annotated[float, Field(ge=0, le=1)] = 0.0
    jpeg: Annotated[float, Field(ge=0, le=1)] = 0.0
    recut: str | None = None
    recut_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    covered: str | None = None
    covered_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    consistency: Annotated[float, Field(ge=0, le=100)] = 0.0
    attention: Annotated[float, Field(ge=0, le=100)] = 0.0
    sharpness: Annotated[float, Field(ge=0, le=10)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    precision: Literal["32-true", "bf16-mixed", "auto"] = "32-true"
    patience: Annotated[int, Field(ge=1)] | None = None
    log_to: Literal["csv", "tensorboard", "wandb", "wandb-offline"] = "csv"
    split: Annotated[float, Field(gt=0, lt=1)] | None = None
    skip_bad: bool = False


def read(path: str | Path, **over: Any) -> TrainConfig:
    """Return the configuration that a `.toml` or `.json` file holds.

    Args:
        path: The file; a run's own `config.json` is one.
        over: Values that win over the file's; None values are ignored.

    Raises:
        ConfigError: The file cannot be read, or a name or value is wrong; the message names it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read the training configuration '{path}': {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"'{path}' is neither valid TOML nor, as a .json, valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"'{path}' holds no table of settings: expected names and values, such as epochs = 30")
    return validated(values | {name: value for name, value in over.items() if value is not None})


def validated(values: dict[str, Any]) -> TrainConfig:
    """Return the configuration with these values, and the defaults for what they leave out.

    Raises:
        ConfigError: A name is unknown, a value is missing or out of range.
    """
    try:
        config: TrainConfig = TypeAdapter(TrainConfig).validate_python(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = str(problem["loc"][0])
        if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            names = [field.name for field in dataclasses.fields(TrainConfig)]
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise ConfigError(f"unknown training setting '{name}': {hint}") from error
        came = "it is missing" if problem["type"].startswith("missing") else f"it is {problem['input']!r}"
        message = f"{problem['msg'][0].lower()}{problem['msg'][1:]}"
        raise ConfigError(f"training setting '{name}': {message}, but {came}") from error
    return config
