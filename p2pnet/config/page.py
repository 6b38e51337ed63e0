"""The section [page]: what `p2pnet page` serves beside its views."""

from pydantic import Field

from p2pnet.config.section import PositiveInt, Section


class PageSettings(Section):
    """What `p2pnet page` serves beside its views."""

    predict: bool = Field(
        default=False,
        description="Answer POST /predict with predictions of the agent's model for rows in JSON or CSV.",
    )
    max_body_bytes: PositiveInt = Field(
        default=2**20, description="Largest body of such a request, in bytes; larger ones are refused."
    )
