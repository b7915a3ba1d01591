"""The commands of training: train, evaluate and export. They need the extra `train`, and `cli` takes them in."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mien.cli.common import session
from mien.cli.help_text import Commands
from mien.errors import InputError, MienError, MissingExtraError
from mien.silence import caches_in
from mien.system.logs import log_as

__all__ = ["app"]

log = logging.getLogger(__name__)

app = Commands()

SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out rows and files of the data that cannot be used, and count them.")
]
Split = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE", help="Hold out so many as PublicTest, such as 0.1, where the data has no column usage."
    ),
]


@app.command(epilog="Example: mien train --data fer2013.parquet --out runs/first")
def train(
    data: Annotated[str | None, typer.Option(help="FER-2013: a .parquet, Kaggle's .csv, or a folder.")] = None,
    out: Annotated[str | None, typer.Option(help="The run's folder, also as s3://bucket/run.")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .toml or .json of settings; a run's config.json is one.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the Training faces [default: 30]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Faces a step, on each device [default: 128]")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The schedule's peak [default: 0.1]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is drawn by chance [default: 1]")] = None,
    precision: Annotated[str | None, typer.Option(help="32-true, bf16-mixed or auto [default: 32-true]")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after this many epochs without progress.")] = None,
    log_to: Annotated[
        str | None,
        typer.Option(help="csv, tensorboard, wandb or wandb-offline [default: csv, which is always written]"),
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="GPUs, or CPU processes, that work together.")] = 1,
    accelerator: Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="What it runs on.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's newest checkpoint.")] = False,
    split: Split = None,
    skip_bad: SkipBad = False,
) -> None:
    """Train a network on FER-2013. Each epoch leaves a checkpoint and a model, all of them the curves."""
    _keep_caches()
    with _extra("mien train", "train"):
        from mien.training.config import read, validated
        from mien.training.train import train as run

    log_as("train")
    flags = {"data": data, "out": out, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    flags |= {"seed": seed, "precision": precision, "patience": patience, "log_to": log_to, "split": split}
    flags |= {"skip_bad": True} if skip_bad else {}
    given = {name: value for name, value in flags.items() if value is not None}
    chosen = read(config, **given) if config else validated(given)
    log.info("the last checkpoint is %s", run(chosen, resume=resume, devices=devices, accelerator=accelerator))


@app.command(epilog="Example: mien evaluate fer2013 --data fer2013.parquet --out report/")
def evaluate(
    data: Annotated[Path, typer.Option(help="FER-2013: a .parquet, Kaggle's .csv, or a folder.")],
    model: Annotated[
        str | None, typer.Argument(help="An ONNX file, or fer2013 or ferplus for one that comes with Mien.")
    ] = None,
    named: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="The same, as an option.")] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="SPLIT",
            help="Training, PublicTest or PrivateTest, which is for the final figure only; where the data has no "
            "column usage, the share that is held out as PublicTest, such as 0.1.",
        ),
    ] = "PublicTest",
    out: Annotated[Path | None, typer.Option(help="The folder for the page and the figures as JSON.")] = None,
    compare: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Another model, compared on the same faces.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="What the outputs of another's model mean, by commas [default: as ours]"),
    ] = None,
    input_range: Annotated[
        Literal["0-255", "0-1", "-1-1"], typer.Option(help="What the pixels of another's model are.")
    ] = "0-255",
    mean: Annotated[
        str,
        typer.Option(metavar="NUMBERS", help="What is taken off those pixels: one number, or one for each channel."),
    ] = "0",
    std: Annotated[str, typer.Option(metavar="NUMBERS", help="What they are divided by after that.")] = "1",
    groups: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A CSV: the column face (its number from 0), and one for each attribute."),
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="List the pictures that stand in two splits, as CSV; needs no model."),
    ] = None,
    pipeline: Annotated[
        bool, typer.Option("--pipeline", help="Also set the faces into frames, and measure detector and crop as well.")
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Say how good a model is, with figures, plots and a page."""
    _keep_caches()
    with _extra("mien evaluate", "train"):
        from mien.training import audit as audits
        from mien.training import evaluate as evaluation

    log_as("evaluate")
    if model and named and model != named:
        raise InputError(f"two models are named, '{model}' and '{named}': give one, and the other with --compare")
    chosen = model or named
    if not chosen and not audit:
        raise InputError("nothing to evaluate: give a MODEL, such as fer2013 or an ONNX file, or --audit FILE")
    usage, held_out = _split(split)
    rows: dict[str, Any] = {"held_out": held_out, "skip_bad": skip_bad}
    if audit:
        typer.echo(f"{audits.summary(audits.audit(data, audit, **rows))}: {audit}")
    if not chosen:
        return
    names = [name.strip() for name in labels.split(",")] if labels else None
    scale: dict[str, Any] = {"mean": _numbers("--mean", mean), "std": _numbers("--std", std)}
    report = evaluation.evaluate(
        chosen,
        data,
        split=usage,
        out=out,
        compare=compare,
        groups_of=groups,
        labels=names,
        input_range=input_range,
        through=_through(pipeline),
        **scale,
        **rows,
    )
    typer.echo("\n".join(report.lines()))
    typer.echo(f"the page: {report.files[-1]}" if report.files else "no page was written: --out FOLDER asks for it")


@app.command(epilog="Example: mien export runs/first/029.ckpt --data fer2013.parquet --out models/")
def export(
    checkpoint: Annotated[
        list[str], typer.Argument(help="A .ckpt that `mien train` wrote; of several of one make the mean.")
    ],
    data: Annotated[Path, typer.Option(help="FER-2013; temperature and threshold are fitted on its PublicTest.")],
    out: Annotated[Path, typer.Option(help="The folder for the models.")],
    name: Annotated[str | None, typer.Option(help="What observations call the model; the run's own name.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also a smaller, faster variant of each, if it loses little on PublicTest.")
    ] = False,
    split: Split = None,
    skip_bad: SkipBad = False,
) -> None:
    """Write a checkpoint as ONNX models, checked against torch. They carry their contract."""
    _keep_caches()
    with _extra("mien export", "train"):
        from mien.training.eight_bits.quantise import NotKeptError, quantise
        from mien.training.export import export as write

    log_as("export")
    rows: dict[str, Any] = {"held_out": split, "skip_bad": skip_bad}
    written = write(checkpoint, data, out, name=name, **rows)
    for path in written:
        typer.echo(path)
    for path in written if int8 else []:
        try:
            variant = quantise(path, data, **rows)
        except NotKeptError as error:
            log.warning("%s", error)
            continue
        typer.echo(
            f"{variant.path}: {-100 * variant.loss:+.2f} points on PublicTest, {variant.speedup:.1f} times as fast"
        )


def _through(pipeline: bool) -> Any:
    if not pipeline:
        return None
    from mien.run.pipeline_accuracy import measure

    return measure


def _split(text: str) -> tuple[Any, float | None]:
    """Return the split that is asked for, and the share to hold out where that is given instead."""
    try:
        return "PublicTest", float(text)
    except ValueError:
        return text, None


def _keep_caches() -> None:
    """Have what is about to be imported keep its caches in the state folder, where there can be one."""
    from mien.config import load

    settings = load({}, session.config)
    with contextlib.suppress(MienError):
        caches_in(settings.ensure_home() / "caches")


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} is '{text}': expected a number, or one for each channel by commas") from error


@contextlib.contextmanager
def _extra(feature: str, extra: str) -> Iterator[None]:
    """Name the extra to install where an optional import fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mien"):
            raise
        raise MissingExtraError(feature, extra) from error
