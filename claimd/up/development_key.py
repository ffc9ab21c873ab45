"""Tokens for trying claimd out: a signing key in the data directory stands in for an identity provider.

`claimd up` makes the key and hands its gateways the public half; `claimd dev token` signs with the private half, on the
same machine. The key gives its readers no new power: the secret beside it already allows them to make any pass. Even
so, `claimd up` accepts such tokens only where no identity provider is configured and, unless asked for, only where
gateways listen on a loopback address and claims go to the embedded server.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from claimd.embedded.data_dir import DataDir, write_atomically
from claimd.embedded.process_file import ProcessFile
from claimd.errors import StartError
from claimd.identity.jwks import JwksError, parse_jwks
from claimd.identity.jwks_location import is_loopback, is_url
from claimd.identity.jwks_source import jwks_source
from claimd.settings import Settings, SettingsError

# The `iss` and the `aud` of every development token: a service that checks either of them rejects such a token.
ISSUER = AUDIENCE = "claimd-dev"

_KID_PREFIX = "claimd-dev-"
_PRIVATE_NAME = "dev-key.pem"
_PUBLIC_NAME = "dev-jwks.json"
_ALGORITHM = "EdDSA"

# The entry of `processes.json` in which `claimd up` leaves what `claimd dev token` has to know.
RECORD_ENTRY = "tokens"


class SignedBy(StrEnum):
    """Whose tokens the gateways of a `claimd up` accept: the field `signed_by` of that entry."""

    DEVELOPMENT_KEY = "development key"
    IDENTITY_PROVIDER = "identity provider"
    NONE = "none"


class DevelopmentKey:
    """An Ed25519 key that signs development tokens."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._kid = _KID_PREFIX + sha256(raw).hexdigest()[:16]

    @classmethod
    def read(cls, home: Path) -> Self | None:
        """The key kept in `home`; None where there is none. Raises OSError, and StartError for a damaged file."""
        path = home / _PRIVATE_NAME
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise StartError(f"{path} is damaged (not an Ed25519 key): delete it, the next `claimd up` makes a new one")
        return cls(private)

    @classmethod
    def make(cls, home: Path) -> Self:
        """A new key, kept in `home` in a file of mode 600. Raises OSError."""
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_atomically(home / _PRIVATE_NAME, pem.decode())
        return cls(private)

    def write_jwks(self, home: Path) -> Path:
        """Write the JWKS with the public half, and return its path. Raises OSError."""
        entry = jwt.algorithms.OKPAlgorithm.to_jwk(self._private.public_key(), as_dict=True)
        document = {"keys": [{**entry, "kid": self._kid, "alg": _ALGORITHM, "use": "sig", "key_ops": ["verify"]}]}
        path = home / _PUBLIC_NAME
        write_atomically(path, json.dumps(document, indent=2) + "\n")
        return path

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT with `claims`, and with `iss` and `aud` of development tokens."""
        return jwt.encode(
            {**claims, "iss": ISSUER, "aud": AUDIENCE}, self._private, _ALGORITHM, headers={"kid": self._kid}
        )


async def accept_development_tokens(
    settings: Settings,
    data_dir: DataDir,
    process_file: ProcessFile,
    print_line: Callable[[str], None],
    *,
    wanted: bool | None,
) -> Settings:
    """The settings for `claimd up`: with the development key as the JWKS where such tokens are accepted.

    `wanted` is None where the command line leaves it open. Writes to the process file whose tokens are accepted. Raises
    SettingsError where they are wanted beside an identity provider, StartError for a damaged key, and OSError.
    """
    if settings.jwks is not None and wanted:
        raise SettingsError("--dev-tokens: CLAIMD_JWKS is set, so tokens come from its identity provider alone")
    await refuse_development_jwks(settings)
    is_local = settings.redis_url is None and is_loopback(settings.host)
    if settings.jwks is not None or not (is_local if wanted is None else wanted):
        process_file.put(RECORD_ENTRY, signed_by=SignedBy.NONE if settings.jwks is None else SignedBy.IDENTITY_PROVIDER)
        return settings
    key = DevelopmentKey.read(data_dir.path) or DevelopmentKey.make(data_dir.path)
    jwks = key.write_jwks(data_dir.path)
    process_file.put(RECORD_ENTRY, signed_by=SignedBy.DEVELOPMENT_KEY, identity=settings.jwt_identity)
    print_line(
        f"  tokens    WARNING: development tokens are accepted: any user who can read {data_dir.path} can make one "
        "for any person (claimd dev token); set CLAIMD_JWKS to accept your identity provider's tokens alone"
    )
    return settings.model_copy(update={"jwks": str(jwks), "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE})


async def refuse_development_jwks(settings: Settings) -> None:
    """Raise SettingsError where CLAIMD_JWKS is a file with a development key, wherever it was copied to."""
    if settings.jwks is None or is_url(settings.jwks):
        return
    # A file that cannot be used is reported by the check of tokens.
    with suppress(JwksError):
        source = jwks_source(settings.jwks)
        if any(kid.startswith(_KID_PREFIX) for kid in parse_jwks(source.name, await source.read()).keys):
            raise SettingsError(
                f"CLAIMD_JWKS: {settings.jwks} has a development key, which signs tokens for any person: "
                "name your identity provider's JWKS. Only `claimd up` accepts development tokens, with no CLAIMD_JWKS"
            )
