"""A model file for people."""

from __future__ import annotations

import math

from p2pnet.training.model_file import ModelFile

MAX_COLUMNS_SHOWN = 50
SHOWN_AS = {"network": "members of", "survey": "feature statistics"}
"""What fields of the fingerprint are called in the glossary, where the file has a name of its own."""


def model_text(file: ModelFile) -> str:
    """What the model is and takes, and where it comes from, a line each."""
    description, provenance = file.description, file.provenance
    network, scaling = description.network, description.scaling
    n_zero = int((file.params == 0.0).sum())
    lines = [
        f"{description.task} of {description.target_name} by {network.text}, {file.params.size} parameters"
        + (f" ({n_zero} of them 0)" if n_zero else ""),
        f"format      {file.format_version or 'of release 0.1'}",
        f"loss        {description.loss or 'not said'}",
        f"precision   {network.precision}",
    ]
    if network.factory:
        lines.append(f"factory     {network.factory}")
    if description.classes:
        lines.append(f"labels      {', '.join(description.classes)}")
    elif (scaling.target_mean, scaling.target_scale) != (0.0, 1.0):
        lines.append(f"target      mean {scaling.target_mean:g}, scale {scaling.target_scale:g}")
    lines += [f"{name:<11} {value:.4f} (the agent's test samples)" for name, value in file.metrics.items()]
    lines += [
        f"{name:<11} {value:.4f} (the same of a model trained alone)" for name, value in file.alone_metrics.items()
    ]
    lines += [
        f"{name:<11} {value:.4f} (rows of all agents for {part})"
        for part, metrics in file.network_metrics.items()
        for name, value in metrics.items()
    ]
    if not math.isnan(provenance.objective):
        lines.append(f"objective   {provenance.objective:.6g} (the agent's own samples)")
    if provenance.agent:
        lines.append(f"trained by  {provenance.agent}, {provenance.rounds} rounds, p2pnet {provenance.p2pnet_version}")
    if provenance.saved_at:
        lines.append(f"saved at    {provenance.saved_at}")
    agreed = provenance.fingerprint.items()
    lines += [f"network     {SHOWN_AS.get(name, name)}: {value}" for name, value in agreed]
    shown = list(zip(description.feature_names, scaling.feature_mean, scaling.feature_scale, strict=True))
    lines += [f"column      {name}: mean {mean:g}, scale {scale:g}" for name, mean, scale in shown[:MAX_COLUMNS_SHOWN]]
    if len(shown) > MAX_COLUMNS_SHOWN:
        lines.append(f"            and {len(shown) - MAX_COLUMNS_SHOWN} columns more (--json shows all)")
    # Names may come from anyone: a line of a file is a line here.
    return "\n".join(line.encode("unicode_escape").decode() if not line.isprintable() else line for line in lines)
