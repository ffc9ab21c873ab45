"""A claimd of one process without a store, which fails in chosen ways: the harness is tested against it.

`python stub_claimd.py PORT_FILE [--stall-after N --stall-seconds S] [--fail-every N] [--drop-every N] [--oversell N]
[--sell-short N] [--fail-passes N] [--lie-to N] [--etag] [--events]` serves gateway and console on one port of its own
choosing, which it writes to PORT_FILE. Its secret is `SECRET`.
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from claimd.domain.claims import claim_id
from claimd.domain.times import from_rfc3339, to_rfc3339
from claimd.identity.keys import Keys, identity_digest
from claimd.identity.passes import Passes
from claimd.identity.unauthenticated import Unauthenticated

SECRET = "not much of a secret, but long enough"
TOKEN = "stub-admin"

Document = dict[str, Any]


def now_ms() -> int:
    return int(time.time() * 1000)


@dataclass
class Stub:
    """One round at a time, and the faults to show."""

    faults: argparse.Namespace
    keys: Keys = field(default_factory=lambda: Keys.derive(SECRET.encode()))
    round: dict[str, Any] = field(default_factory=dict)
    claims: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    asked: int = 0
    passes_asked: int = 0
    looked_up: int = 0

    def __post_init__(self) -> None:
        self.passes = Passes(self.keys.pass_key)

    def answer(self, method: str, path: str, credentials: str, body: bytes) -> tuple[int, Document | bytes]:
        parts = path.strip("/").split("/")
        if parts[0] == "admin":
            return self.operate(method, parts[2:], body)
        if len(parts) == 3:
            return 200, self.described() if self.round else {"issued": 3, "status": "open"}
        if parts[3] == "events":
            return 404, problem("not_found")
        if parts[3] == "passes":
            self.passes_asked += 1
            if self.faults.fail_passes and self.passes_asked % self.faults.fail_passes == 0:
                return 503, problem("unavailable")
            claims = jwt.decode(credentials, options={"verify_signature": False})
            identity = identity_digest(self.keys.identity_key, claims["sub"])
            expires = now_ms() + 86_400_000
            return 201, {"pass": self.passes.issue_pass(parts[2], identity, expires), "expires_at": to_rfc3339(expires)}
        verified = self.passes.verify_pass(parts[2], credentials, now_ms())
        if isinstance(verified, Unauthenticated):
            return 401, problem("unauthenticated")
        identity, _ = verified
        if method == "GET":
            held = self.claims.get(identity)
            self.looked_up += 1
            if self.faults.lie_to and self.looked_up % self.faults.lie_to == 0:
                held = None
            return (200, {"claim": self.claim(held)}) if held else (404, problem("not_claimed"))
        return self.decide(identity)

    def decide(self, identity: bytes) -> tuple[int, Document | bytes]:
        self.asked += 1
        faults = self.faults
        if self.asked == faults.stall_after:
            time.sleep(faults.stall_seconds)
        if faults.fail_every and self.asked % faults.fail_every == 0:
            return 503, problem("unavailable")
        if faults.drop_every and self.asked % faults.drop_every == 0:
            return 0, b""
        if held := self.claims.get(identity):
            return 200, {"claim": self.claim(held), "replayed": True}
        if now_ms() < self.opens_at_ms:
            return 409, problem("not_open", opens_at=to_rfc3339(self.opens_at_ms))
        if len(self.claims) >= self.round["total"] + faults.oversell - faults.sell_short:
            return 409, problem("sold_out")
        self.claims[identity] = held = (len(self.claims) + 1, now_ms())
        return 201, {"claim": self.claim(held), "replayed": False}

    def claim(self, held: tuple[int, int]) -> Document:
        name = self.round["id"]
        return {"round": name, "id": claim_id(name, held[0]), "serial": held[0], "claimed_at": to_rfc3339(held[1])}

    def described(self) -> Document:
        issued, total = len(self.claims), self.round["total"]
        status = "scheduled" if now_ms() < self.opens_at_ms else "sold_out" if issued >= total else "open"
        counts = {"issued": issued, "remaining": total - issued}
        return {**self.round, **counts, "status": status, "server_time": to_rfc3339(now_ms())}

    def operate(self, method: str, parts: list[str], body: bytes) -> tuple[int, Document | bytes]:
        if method == "POST":
            self.round, self.claims = json.loads(body), {}
            self.opens_at_ms = from_rfc3339(self.round["opens_at"])
            return 201, self.described()
        if parts[-1] == "audit":
            total, issued = self.round["total"], len(self.claims)
            counts = {"total": total, "issued": issued, "remaining": total - issued}
            counts |= {"claims": issued, "identities": issued}
            return 200, {"ok": issued <= total, **counts}
        if parts[-1] == "claims":
            lines = [
                json.dumps({k: v for k, v in self.claim(held).items() if k != "round"} | {"identity": identity.hex()})
                for identity, held in self.claims.items()
            ]
            return 200, "\n".join(lines).encode() + b"\n"
        return 200, self.described() if self.round else {"issued": 3, "status": "open"}


def problem(code: str, **more: str) -> Document:
    return {"type": "about:blank", "title": code, "code": code, **more}


async def stream(stub: Stub, writer: asyncio.StreamWriter) -> None:
    """Events of the round, chunked, whenever the count of claims is another, until the client leaves."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    last: Document = {}
    while not writer.is_closing():
        now = stub.described()
        if now | {"server_time": 0} != last:
            event = b": a comment\n\nevent: round\ndata: %b\n\n" % json.dumps(now).encode()
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            last = now | {"server_time": 0}
        await asyncio.sleep(0.05)


async def serve(stub: Stub, port_file: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, path, _ = lines[0].split(" ")
                credentials = headers.get("authorization", " ").split(" ", 1)[1]
                if stub.faults.events and path.endswith("/events"):
                    await stream(stub, writer)
                    break
                status, document = stub.answer(method, path, credentials, body)
                if not status:
                    break
                etag = b""
                if stub.faults.etag and status == 200 and isinstance(document, dict) and "server_time" in document:
                    etag = f'"{document["issued"]}-{document["status"]}"'.encode()
                    if headers.get("if-none-match", "").encode() == etag:
                        writer.write(b"HTTP/1.1 304 X\r\nETag: %b\r\n\r\n" % etag)
                        continue
                    etag = b"ETag: %b\r\n" % etag
                data = document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()
                writer.write(b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, etag, len(data), data))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    part = port_file.with_suffix(".part")
    part.write_text(str(server.sockets[0].getsockname()[1]))
    part.replace(port_file)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port_file", type=Path)
    parser.add_argument("--stall-after", type=int, default=0)
    parser.add_argument("--stall-seconds", type=float, default=0)
    parser.add_argument("--fail-every", type=int, default=0)
    parser.add_argument("--drop-every", type=int, default=0)
    parser.add_argument("--oversell", type=int, default=0)
    parser.add_argument("--sell-short", type=int, default=0)
    parser.add_argument("--fail-passes", type=int, default=0)
    parser.add_argument("--lie-to", type=int, default=0)
    parser.add_argument("--etag", action="store_true")
    parser.add_argument("--events", action="store_true")
    given = parser.parse_args()
    asyncio.run(serve(Stub(given), given.port_file))
