"""What the Sentinels of an address answer: how many do, and whether they name the same primary."""

import asyncio
from collections import Counter

from redis.exceptions import RedisError

from claimd.doctor.findings import Finding, blocker, ok, warning
from claimd.store.redis.addresses import SentinelAddress, is_sentinel
from claimd.store.redis.sentinels import Host

CHECK = "sentinels"
# With fewer, one that is down leaves no majority for a failover.
_ENOUGH = 3


async def check_sentinels(url: str) -> list[Finding]:
    """Ask each Sentinel of the URL; no finding where it names none."""
    if not is_sentinel(url):
        return []
    address = SentinelAddress.parse(url)
    primary = address.primary()
    answers = await asyncio.gather(*map(primary.named_by, primary.sentinels), return_exceptions=True)
    return _judge(address.service, list(zip(primary.sentinels, answers, strict=True)))


def _judge(service: str, answers: list[tuple[Host, Host | BaseException | None]]) -> list[Finding]:
    for _, answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, RedisError | OSError):
            raise answer
    named = Counter(answer for _, answer in answers if isinstance(answer, tuple))
    silent = [_text(host) for host, answer in answers if isinstance(answer, BaseException)]
    ignorant = [_text(host) for host, answer in answers if answer is None]
    if not named:
        reason = f"{', '.join(silent)} did not answer" if silent else f"none of them knows a primary of {service!r}"
        return [blocker(CHECK, reason, "the name is that of SENTINEL MONITOR", may_pass=True)]
    findings = []
    primary = _text(max(named, key=named.__getitem__))
    if len(named) > 1:
        listed = ", ".join(f"{_text(host)} ({count})" for host, count in named.items())
        findings.append(warning(CHECK, f"they name several primaries: {listed}", "a failover may be under way"))
    if silent or ignorant:
        troubles = [f"{host} does not answer" for host in silent] + [f"{host} knows none" for host in ignorant]
        advice = "without a majority of them there is no failover"
        findings.append(warning(CHECK, f"of {len(answers)}, {', '.join(troubles)}", advice))
    elif len(answers) < _ENOUGH:
        advice = "name all of them; three or more survive the loss of one"
        findings.append(warning(CHECK, f"the address names {len(answers)} of them", advice))
    return findings or [ok(CHECK, f"all {len(answers)} name {primary} as the primary of {service!r}")]


def _text(host: Host) -> str:
    return f"{host[0]}:{host[1]}"
