"""The answers of the health checks."""

from typing import Literal

from claimd.contract.fields import Answer


class Healthy(Answer):
    """The answer of a process that lives."""

    status: Literal["ok"]


class Ready(Answer):
    """The answer of a process that can decide claims."""

    status: Literal["ready"]
