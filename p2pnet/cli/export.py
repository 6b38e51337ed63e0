"""`p2pnet export`."""

from pathlib import Path

import click

from p2pnet.cli.imports import find_modules_in
from p2pnet.cli.options import model_options

SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors", "sklearn": ".py"}


@click.command()
@model_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(SUFFIXES)),
    required=True,
    help="onnx: raw values to predictions, scaling included. safetensors: matrices, scaling and metadata. sklearn: a "
    "Python file that makes a fitted pipeline.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write; default: MODEL with the format's suffix.",
)
@click.option("--prune", is_flag=True, help="Leave out hidden neurons that put out a constant: the same function.")
def export(model: Path, loss: str | None, factory: str | None, format_: str, out: Path | None, prune: bool) -> None:
    """Write MODEL, a model.npz, for another library, and print the file's name."""
    from p2pnet.training.trained_model import load

    find_modules_in(Path.cwd())
    loaded = load(model, loss=loss, factory=factory)
    if prune:
        loaded = loaded.pruned()
    path = out or model.with_suffix(SUFFIXES[format_])
    if format_ == "onnx":
        from p2pnet.interop.onnx_export import export_onnx as write
    elif format_ == "safetensors":
        from p2pnet.interop.safetensors_export import export_safetensors as write
    else:
        from p2pnet.interop.sklearn_export import export_sklearn as write
    write(loaded, path)
    click.echo(path)
