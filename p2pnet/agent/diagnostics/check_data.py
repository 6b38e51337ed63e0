"""The check of samples alone, and settings for them: `p2pnet check --data`."""

from __future__ import annotations

from p2pnet.agent.diagnostics.check import Report, counted
from p2pnet.agent.options import data_options
from p2pnet.config import Settings
from p2pnet.config.writing import toml_value
from p2pnet.data.reading import read_file_samples
from p2pnet.data.suggestions import suggest
from p2pnet.data.table import TableRequest


def check_data(settings: Settings) -> Report:
    """Read the samples as an agent would; DataError lists all that is wrong with them."""
    samples = read_file_samples(data_options(settings.data))
    columns = samples.feature_names if samples.encoding is None else samples.encoding.names
    labels = f" into {', '.join(samples.classes[:10])}" if samples.classes else ""
    more = f" and {len(samples.classes) - 10} more" if len(samples.classes) > 10 else ""
    text = (
        f"fit to train on: {counted(samples.n_samples, 'row')} of {counted(len(columns), 'feature')}, "
        f"{samples.task} of {samples.target_name}{labels}{more}"
    )
    return Report(text, samples.notes)


def suggested_settings(settings: Settings) -> str:
    """Section [data] of an agent.toml under which the samples can be trained on, with the reasons as comments."""
    data = settings.data
    request = TableRequest(
        target=data.target,
        weights=data.weights,
        encoding=data.encoding,
        delimiter=data.delimiter,
        decimal=data.decimal,
    )
    suggestion = suggest(data.source, request)
    lines = ["[data]", f"source = {toml_value(data.source)}"]
    for name, value in suggestion.settings.items():
        lines += [f"# {_comment(reason)}" for reason in suggestion.reasons.get(name, ())]
        lines.append(f"{name} = {toml_value(value)}")
    lines += [f"# To do by hand: {_comment(remark)}" for remark in suggestion.remarks]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """Text from a file may hold anything: a comment is one line."""
    return "".join(character if character.isprintable() else "?" for character in text)
