"""The public API, as `claimd dev` uses it. Every failure becomes a CommandError of one line."""

from typing import Any
from urllib.parse import quote

import aiohttp

from claimd.domain.rounds import is_round_id
from claimd.errors import CommandError, WrongUsage

_ANSWER_SECONDS = 10.0


async def request_pass(url: str, round_id: str, token: str) -> dict[str, Any]:
    """Ask the gateway at `url` for a pass; returns `pass` and `expires_at`. Raises CommandError, WrongUsage."""
    if not is_round_id(round_id):
        raise WrongUsage(f"{round_id!r} is not a round's id: small letters, digits and '-', at most 64")
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(url, timeout=timeout, headers=headers) as session,
            session.post(f"/v1/rounds/{quote(round_id)}/passes") as response,
        ):
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, ValueError, OSError, TimeoutError) as error:
        raise CommandError(f"the gateway at {url} gave no pass: {error or 'it does not answer in time'}") from None
    if isinstance(answer, dict) and response.status == 201 and isinstance(answer.get("pass"), str):
        return answer
    if isinstance(answer, dict) and "code" in answer:
        sentence = str(answer.get("detail") or answer.get("title")).rstrip(".")
        raise CommandError(f"{sentence} ({answer['code']})")
    raise CommandError(f"{url} does not answer like a claimd gateway")
