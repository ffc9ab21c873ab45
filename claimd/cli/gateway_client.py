"""The public API, as `claimd dev` uses it. Every failure becomes a CommandError of one line."""

from typing import Any

import aiohttp

from claimd.cli.arguments.round_id import require_round_id
from claimd.errors import CommandError

_ANSWER_SECONDS = 10.0


async def request_pass(url: str, round_id: str, token: str) -> dict[str, Any]:
    """Ask the gateway at `url` for a pass; returns `pass` and `expires_at`. Raises CommandError, WrongUsage."""
    path = f"/v1/rounds/{require_round_id(round_id)}/passes"
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(url, timeout=timeout, headers=headers) as session,
            session.post(path) as response,
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
