"""The answers of the health checks."""

from typing import Literal

from claimd.contract.fields import Answer


class Healthy(Answer):
    """The process lives."""

    status: Literal["ok"]


class Ready(Answer):
    """Claims can be decided."""

    status: Literal["ready"]
