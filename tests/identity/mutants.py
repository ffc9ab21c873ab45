"""Changes that `tests/identity/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "pass not bound to round",
        "claimd/identity/passes.py",
        "mac.update(round_id.encode())",
        "pass",
        "tests/identity",
    ),
    Mutant(
        "pass never expires",
        "claimd/identity/passes.py",
        'int.from_bytes(payload[1:8], "big") <= now_ms',
        "False",
        "tests/identity",
    ),
    Mutant(
        "a pass compared byte by byte",
        "claimd/identity/passes.py",
        "if not compare_digest(raw[_PAYLOAD_BYTES:], self._mac(payload, round_id)):",
        "if raw[_PAYLOAD_BYTES:] != self._mac(payload, round_id):",
        "tests/identity/test_constant_time.py",
    ),
    Mutant(
        "other spellings taken for a pass",
        "claimd/identity/passes.py",
        'bytes.maketrans(b"-_+/", b"+/--")',
        'bytes.maketrans(b"-_", b"+/")',
        "tests/identity/test_passes_fuzz.py",
    ),
    Mutant(
        "the header's algorithm believed",
        "claimd/identity/bearer.py",
        "key,\n                algorithms=[key.algorithm_name],",
        "key.key,\n                algorithms=[jwt.get_unverified_header(token)['alg']],",
        "tests/identity/test_bearer.py",
    ),
    Mutant(
        "any sub for the person",
        "claimd/identity/bearer.py",
        "subject = token_claims[self._rules.identity]",
        'subject = token_claims["sub"]',
        "tests/identity/test_bearer.py",
    ),
    Mutant(
        "true taken for 1",
        "claimd/identity/eligibility.py",
        "if isinstance(value, bool) or isinstance(allowed, bool):",
        "if False:",
        "tests/identity/test_eligibility.py",
    ),
    Mutant(
        "an encryption key taken for a signing one",
        "claimd/identity/jwks.py",
        'entry.get("use") not in (None, "sig")',
        "False",
        "tests/identity/test_jwks.py",
    ),
    Mutant(
        "unknown keys cause any number of readings",
        "claimd/identity/fresh_keys.py",
        "if now - self._reread_at < REREAD_SECONDS:",
        "if False:",
        "tests/identity/test_fresh_keys.py",
    ),
    Mutant(
        "a bad JWKS takes the keys away",
        "claimd/identity/fresh_keys.py",
        "self._due = now + REREAD_SECONDS",
        "self._jwks, self._due = None, now + REREAD_SECONDS",
        "tests/identity/test_fresh_keys.py",
    ),
    Mutant(
        "a reading for each waiting request",
        "claimd/identity/fresh_keys.py",
        "if self._reading is None or self._reading.done():",
        "if True:",
        "tests/identity/test_fresh_keys.py",
    ),
    Mutant(
        "a file rewritten in the same moment not seen",
        "claimd/identity/jwks_source.py",
        "if abs(time.time() - state.st_mtime) > _SETTLED_SECONDS else None",
        "if True else None",
        "tests/identity/test_fresh_keys.py",
    ),
    Mutant(
        "an admin token compared byte by byte",
        "claimd/console/access.py",
        """compare_digest(
        token.strip().encode(errors="surrogateescape"), expected.encode()
    )""",
        "token.strip() == expected",
        "tests/identity/test_constant_time.py",
    ),
)
