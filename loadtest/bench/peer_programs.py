"""How each peer is built and started. A peer whose tools the machine lacks is left out, with the reason.

Peers are built into a folder of the caller's, never into the checkout, and run against the server at a unix socket.
"""

import getpass
import grp
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from loadtest.target import children, claimd_up

_SOURCES: Final = Path(__file__).resolve().parent / "peers"
_SCRIPT: Final = _SOURCES / "claim_one.lua"
# Where Debian's packages put Go libraries; they are built without a network.
_DEBIAN_GOPATH: Final = "/usr/share/gocode"
_BUILD_SECONDS: Final = 300


class MissingError(Exception):
    """A peer cannot be built on this machine; the message gives the reason and what to install."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer is built and runs: its folder, its port on 127.0.0.1, and what it meets there.

    That is the URL of the server's unix socket, and the path of the JWKS that verifies bearer tokens.
    """

    folder: Path
    port: int
    redis_url: str
    jwks: Path

    @property
    def socket(self) -> str:
        """The path of the server's unix socket."""
        return unquote(urlsplit(self.redis_url).path)


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that claimd is compared with.

    `key` is its name on the command line; peers of one `folder` share what is built. `build` returns the command that
    runs it, or raises MissingError.
    """

    key: str
    name: str
    folder: str
    build: Callable[[Place], list[str]]

    @contextmanager
    def running(self, home: Path, redis_url: str, jwks: Path) -> Iterator[tuple[int, children.Child]]:
        """Build it below the folder `home` and run it there; its port and its process, when it accepts connections.

        Raises MissingError, TargetError.
        """
        folder = home / self.folder
        folder.mkdir(exist_ok=True)
        (port,) = claimd_up.free_ports(1)
        command = self.build(Place(folder, port, redis_url, jwks))
        log = folder / f"{self.key}.log"
        with children.running(command, claimd_up.inherited_environment(), log, cwd=claimd_up.ROOT) as child:
            claimd_up.await_listening(port, child, log)
            yield port, child


def _python(module: str, *, verifies: bool = False) -> Callable[[Place], list[str]]:
    """`verifies` is True for a program that also takes the path of the JWKS."""

    def build(place: Place) -> list[str]:
        more = [str(place.jwks)] if verifies else []
        return [sys.executable, "-m", f"loadtest.bench.peers.{module}", str(place.port), place.redis_url, *more]

    return build


def _nginx(place: Place) -> list[str]:
    install = "apt install nginx libnginx-mod-http-lua"
    program = _find("nginx", install, f"{os.environ.get('PATH', '')}:/usr/sbin")
    options = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr
    folders = re.findall(r"--modules-path=(\S+)", options)
    if not folders or not Path(folders[0], "ngx_http_lua_module.so").exists():
        raise MissingError(f"nginx has no Lua module ({install})")
    source = _SOURCES / "nginx_lua"
    text = (source / "nginx.conf").read_text()
    for name, value in {
        "FOLDER": place.folder,
        "MODULES": folders[0],
        "PEER": source,
        "PORT": place.port,
        "SCRIPT": _SCRIPT,
        "SOCKET": place.socket,
        "USER": f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}",
    }.items():
        text = text.replace(f"@{name}@", str(value))
    configuration = place.folder / "nginx.conf"
    configuration.write_text(text)
    return [program, "-e", "stderr", "-c", str(configuration)]


def _go(place: Place) -> list[str]:
    install = "apt install golang-go golang-github-gomodule-redigo-dev"
    go = _find("go", install)
    program = place.folder / "main"
    if not program.exists():
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GO111MODULE": "off",
            "GOCACHE": str(place.folder / "cache"),
            "GOPATH": f"{place.folder}:{_DEBIAN_GOPATH}",
        }
        _run([go, "build", "-o", str(program), str(_SOURCES / "go_redigo" / "main.go")], place, environment, install)
    return [str(program), str(place.port), place.socket, str(_SCRIPT)]


def _node(*options: str) -> Callable[[Place], list[str]]:
    def build(place: Place) -> list[str]:
        install = "Node.js 20 or newer with npm"
        node, npm = _find("node", install), _find("npm", install)
        if not (place.folder / "node_modules").exists():
            for file in (_SOURCES / "node_fastify").iterdir():
                shutil.copy(file, place.folder)
            # Exactly the versions of the lock file; no program of a package is run.
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            _run(command, place, os.environ, "the registry of npm, once")
        return [node, str(place.folder / "server.js"), str(place.port), place.socket, str(_SCRIPT), *options]

    return build


def _find(program: str, install: str, path: str | None = None) -> str:
    found = shutil.which(program, path=path)
    if found is None:
        raise MissingError(f"{program} is not installed ({install})")
    return found


def _run(command: list[str], place: Place, environment: Mapping[str, str], needs: str) -> None:
    """Run a step of a build. Raises MissingError where it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=place.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        error = "" if done.returncode == 0 else (done.stdout.strip().splitlines() or ["no output"])[-1]
    except subprocess.TimeoutExpired:
        error = f"not done after {_BUILD_SECONDS} s"
    if error:
        raise MissingError(f"`{' '.join(command[:2])}` failed: {error} (needs {needs})")


AIOHTTP: Final = Peer("aiohttp", "aiohttp + redis-py", "aiohttp_redis", _python("aiohttp_redis"))
FASTAPI: Final = Peer("fastapi", "FastAPI/uvicorn + redis-py", "fastapi_redis", _python("fastapi_redis"))
NGINX: Final = Peer("nginx", "nginx + Lua", "nginx_lua", _nginx)
GO: Final = Peer("go", "Go + redigo", "go_redigo", _go)
NODE: Final = Peer("node", "fastify + ioredis", "node_fastify", _node())
NODE_PIPELINED: Final = Peer(
    "node-pipelined", "fastify + ioredis, pipelined", "node_fastify", _node("--auto-pipelining")
)
CONSTANT: Final = Peer("constant", "floor: httptools, a constant", "constant", _python("constant"))
AIOHTTP_VISIT: Final = Peer("aiohttp", "aiohttp + redis-py", "aiohttp_visit", _python("aiohttp_visit", verifies=True))

# What decides claims, from the least gateway to the most that was measured when this was written.
CLAIM_PEERS: Final = (NGINX, GO, NODE, NODE_PIPELINED, AIOHTTP, FASTAPI)
