"""Every command that claimd sends or that its scripts run, each with a key of claimd, for the server's access control.

`RedisDiagnosis.acl_denied` asks the server about each; the rule in `docs/production.md` grants exactly these, and INFO.
"""

from claimd.store.redis import keys

_ROUND, _CLAIMS, _LOG, _VOIDS = keys.of_round("")

NEEDED = (
    "CLIENT SETNAME claimd",
    "SCRIPT LOAD script",
    f"EVALSHA sha 3 {_ROUND} {_CLAIMS} {_LOG}",
    "TIME",
    f"HMGET {_ROUND} field",
    f"HSET {_ROUND} field value",
    f"XADD {_LOG} * field value",
    f"HEXISTS {_ROUND} field",
    f"UNLINK {_CLAIMS}",
    f"HGETALL {_ROUND}",
    f"SADD {keys.ROUNDS} member",
    f"SREM {keys.ROUNDS} member",
    f"SMEMBERS {keys.ROUNDS}",
    f"SCARD {keys.ROUNDS}",
    f"ZADD {keys.ROUNDS_CLOSING} 0 member",
    f"ZCARD {keys.ROUNDS_OPENING}",
    f"ZRANGE {keys.ROUNDS_CLOSING} 0 1",
    f"ZMSCORE {keys.ROUNDS_OPENING} member",
    f"ZREM {keys.ROUNDS_CLOSING} member",
    f"HSET {_VOIDS} field value",
    f"HDEL {_CLAIMS} field",
    f"HGET {_CLAIMS} field",
    f"HSCAN {_CLAIMS} 0",
    f"XRANGE {_LOG} - +",
    f"XREVRANGE {_LOG} + -",
    f"HSET {keys.COUNTS_RUNS} field value",
    f"HDEL {keys.COUNTS_RUNS} field",
)
