"""`p2pnet inspect`."""

from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print JSON on standard output.")
def inspect(model: Path, is_json: bool) -> None:
    """Say what MODEL, a model.npz, is: columns, scaling, labels, layers, loss, metrics, and where it comes from."""
    import json

    from p2pnet.training.model_file import ModelFile
    from p2pnet.training.model_text import model_text

    file = ModelFile.load(model)
    click.echo(json.dumps(file.describe(), indent=2, ensure_ascii=False) if is_json else model_text(file))
