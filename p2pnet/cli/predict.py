"""`p2pnet predict`."""

from pathlib import Path

import click

from p2pnet.cli.imports import find_modules_in
from p2pnet.cli.options import model_options, rows_options


@click.command()
@model_options
@rows_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="CSV file to write; default: standard output.",
)
@click.option("--proba", "is_proba", is_flag=True, help="Beside each label the probability of every label.")
def predict(
    model: Path,
    loss: str | None,
    factory: str | None,
    data: Path,
    ignore: tuple[str, ...],
    out: Path | None,
    is_proba: bool,
) -> None:
    """Predict with MODEL, a model.npz, for each row of DATA, a file with the model's columns in any order."""
    from p2pnet.data.files import write_file
    from p2pnet.data.frame_files import read_frame
    from p2pnet.training.prediction_text import predictions_csv
    from p2pnet.training.trained_model import load

    find_modules_in(Path.cwd())
    loaded = load(model, loss=loss, factory=factory)
    rows = read_frame(data, loaded.description.text_columns)
    text = predictions_csv(loaded, rows, ignore, is_proba=is_proba)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_file(out, text.encode())
