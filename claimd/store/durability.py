"""How many servers have to keep a write before it is acknowledged."""

from enum import StrEnum


class Durability(StrEnum):
    """`LOCAL`: the server alone keeps a write. `REPLICA`: a replica has it too, on its disk if WAITAOF exists."""

    LOCAL = "local"
    REPLICA = "replica"
