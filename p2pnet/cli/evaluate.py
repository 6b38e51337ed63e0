"""`p2pnet evaluate`."""

from pathlib import Path

import click

from p2pnet.cli.imports import find_modules_in
from p2pnet.cli.options import model_options, rows_options


@click.command()
@model_options
@rows_options
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw predicted against true, and calibration, into a .png, .svg or .pdf.",
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON on standard output, nothing else.")
@click.option("--seed", default=0, show_default=True, help="Seed of the resampling behind some intervals.")
def evaluate(
    model: Path,
    loss: str | None,
    factory: str | None,
    data: Path,
    ignore: tuple[str, ...],
    plot: Path | None,
    is_json: bool,
    seed: int,
) -> None:
    """Say how good MODEL is on DATA, which has the target's column as well: metrics with 95 % confidence intervals,
    each class, the confusion matrix, calibration.
    """
    from p2pnet.data.frame_files import read_frame
    from p2pnet.training import evaluation, evaluation_text
    from p2pnet.training.trained_model import load

    find_modules_in(Path.cwd())
    loaded = load(model, loss=loss, factory=factory)
    rows = read_frame(data, loaded.description.text_columns)
    found = evaluation.evaluate(loaded, rows, ignore, seed)
    click.echo(evaluation_text.evaluation_json(found) if is_json else evaluation_text.evaluation_text(found))
    if plot is not None:
        from p2pnet.training.evaluation_plot import draw_evaluation

        draw_evaluation(found, plot)
