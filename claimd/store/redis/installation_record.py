"""The record of the installation on the server (see `store/installation.py`), and a gate in front of all claims."""

from claimd.store.installation import Installation, InstallationDiffers
from claimd.store.redis import keys
from claimd.store.redis.codec import read_pairs
from claimd.store.redis.errors import translated_errors
from claimd.store.redis.pools import Pools
from claimd.store.redis.replies import awaited
from claimd.store.redis.scripts import load_script


class InstallationRecord:
    """`agreed` is True once the server has agreed to `ours`; without an installation of ours, from the beginning."""

    def __init__(self, pools: Pools, ours: Installation | None) -> None:
        self.agreed = ours is None
        self._pools = pools
        self._ours = ours
        self._script = load_script("installation_agree")

    async def agree(self) -> None:
        """Have the server keep our installation, or compare it with the one it keeps already.

        Raises InstallationDiffers where the two differ, StoreUnavailable.
        """
        if self._ours is not None:
            pairs = [part for pair in self._ours.fields().items() for part in pair]
            kept = await self._pools.claim_calls.call(self._script, (keys.INSTALLATION,), pairs)
            difference = self._ours.difference(_texts(read_pairs(kept)))
            if difference:
                raise InstallationDiffers(difference)
        self.agreed = True

    async def kept(self) -> dict[str, str]:
        """The installation that the server keeps, as `Installation.fields`; empty before the first gateway started."""
        with translated_errors():
            return _texts(await awaited(self._pools.reads.hgetall(keys.INSTALLATION)))

    async def has_rounds(self) -> bool:
        """Whether the server has any round, also one that is over."""
        with translated_errors():
            return bool(await awaited(self._pools.reads.scard(keys.ROUNDS)))


def _texts(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}
