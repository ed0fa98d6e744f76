"""What every stored or transmitted value is made of."""

from pydantic import BaseModel, ConfigDict

#: The lower and the upper end of a confidence interval.
Interval = tuple[float, float]


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
