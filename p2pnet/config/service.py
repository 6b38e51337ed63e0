"""The section [service]: what an agent does after training has converged."""

from pydantic import Field

from p2pnet.config.section import Section


class ServiceSettings(Section):
    """What an agent does after training has converged."""

    keep_running: bool = Field(
        default=False,
        description="Stay, publish the model, and train on with the network when samples change, here or elsewhere. "
        "The same at all agents.",
    )
    watch_interval_s: float = Field(
        default=5.0, gt=0, description="Seconds from one look at data.source, whether it has changed, to the next."
    )
    rescale_at: float = Field(
        default=0.5,
        ge=0,
        description="Scale anew where the mean of a column has moved by so many deviations, or its deviation has "
        "changed by this part, over the samples of the whole network. The same at all agents; 0: never.",
    )
    forget_after_days: float = Field(
        default=7.0, gt=0, description="Days after which an absent agent's samples are given up, as if it had left."
    )
