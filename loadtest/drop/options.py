"""The harness's own options, in Locust's command line and its web page; secrets also come from the data directory."""

from argparse import Namespace
from pathlib import Path

from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from claimd.identity.keys import Keys
from loadtest.client.heads import EqualHeads, Heads, VariedHeads, Variety
from loadtest.drop import sizes
from loadtest.drop.errors import DropError

DEFAULT_POOL = 30_000
DEFAULT_SECONDS = 10.0


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: LocustArgumentParser) -> None:
    """Add the options; Locust calls it before it reads its command line."""
    parser.add_argument("--pool", type=int, default=DEFAULT_POOL, help="packs in the round")
    parser.add_argument(
        "--seconds", type=float, default=DEFAULT_SECONDS, help="when the pool-th person comes; 0: as fast as it goes"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same crowd")
    parser.add_argument(
        "--app-users", type=int, default=-1, help="number of app users (default: one in 100, at most 50)"
    )
    parser.add_argument(
        "--visits", choices=[str(each) for each in sizes.Visits], default=str(sizes.Visits.NONE),
        help="whole: people gather before the opening, get their passes from claimd, and look their claims up",
    )  # fmt: skip
    parser.add_argument(
        "--gathering", type=float, default=-1.0, help="seconds over which people gather, with whole visits"
    )
    parser.add_argument(
        "--watchers", type=int, default=-1, help="people that watch the round's events, with whole visits"
    )
    parser.add_argument(
        "--heads", choices=[str(each) for each in Variety], default=str(Variety.VARIED),
        help="request heads: varied as those of real clients, or equal",
    )  # fmt: skip
    parser.add_argument("--round", default="", help="an existing round without claims (default: a new one)")
    parser.add_argument(
        "--console-url", default="http://127.0.0.1:8081", env_var="CLAIMD_CONSOLE_URL", help="claimd's operators' side"
    )
    parser.add_argument(
        "--data-dir", default=".claimd", env_var="CLAIMD_DATA_DIR", help="where `claimd up` keeps its generated secrets"
    )
    parser.add_argument("--secret", default="", env_var="CLAIMD_SECRET", is_secret=True, help="claimd's secret")
    parser.add_argument(
        "--admin-token", default="", env_var="CLAIMD_ADMIN_TOKEN", is_secret=True, help="the console's token"
    )
    parser.add_argument(
        "--jwks",
        default="",
        env_var="CLAIMD_JWKS",
        help="JWKS file with an HS256 key, or a private one; without it no app users and no whole visits",
    )
    parser.add_argument("--jwt-issuer", default="", env_var="CLAIMD_JWT_ISSUER", help="iss of the app users' tokens")
    parser.add_argument(
        "--jwt-audience", default="", env_var="CLAIMD_JWT_AUDIENCE", help="aud of the app users' tokens"
    )
    parser.add_argument(
        "--jwt-identity", default="sub", env_var="CLAIMD_JWT_IDENTITY", help="the claim that names the app users"
    )
    parser.add_argument("--out", default="", help="folder for the report (default: loadtest/out/<time>)")
    parser.add_argument(
        "--progress-fd",
        type=int,
        default=-1,
        include_in_web_ui=False,
        help="write progress as JSON lines to this descriptor",
    )


def options_of(environment: Environment) -> Namespace:
    """The options of a run as they are now: the web page may change them, and a master sends its own to its workers.

    Raises DropError without a command line.
    """
    given: Namespace | None = environment.parsed_options
    if given is None:
        raise DropError("the harness needs Locust's command line; it cannot run as a library")
    return given


def app_users_for(options: Namespace) -> int:
    """How many Locust users use the app; 0 without a JWKS file whose key can sign their tokens.

    With whole visits the whole crowd does what they do, so there are none.
    """
    if not options.jwks or visits_of(options) is sizes.Visits.WHOLE:
        return 0
    wanted: int = options.app_users
    return wanted if wanted >= 0 else sizes.app_users_for(options.pool)


def visits_of(options: Namespace) -> sizes.Visits:
    """What people do beside their claims."""
    return sizes.Visits(options.visits)


def gathering_seconds_for(options: Namespace, pool: int) -> float:
    """The seconds over which people gather; 0 without whole visits."""
    if visits_of(options) is sizes.Visits.NONE:
        return 0.0
    given: float = options.gathering
    return given if given >= 0 else sizes.gathering_seconds_for(pool)


def watchers_for(options: Namespace, pool: int) -> int:
    """How many people watch the round's events; 0 without whole visits."""
    if visits_of(options) is sizes.Visits.NONE:
        return 0
    wanted: int = options.watchers
    return wanted if wanted >= 0 else sizes.watchers_for(pool)


def heads(variety: str, seed: int) -> Heads:
    """The request heads of a drop."""
    return VariedHeads(seed) if Variety(variety) is Variety.VARIED else EqualHeads()


def keys(options: Namespace) -> Keys:
    """The keys derived from claimd's secret. Raises DropError where there is no usable secret."""
    secret = options.secret or _from_data_dir(options, "secret", "--secret or CLAIMD_SECRET")
    try:
        return Keys.derive(secret.strip().encode())
    except ValueError as error:
        raise DropError(str(error)) from None


def admin_token(options: Namespace) -> str:
    """The console's token. Raises DropError where there is none."""
    return options.admin_token.strip() or _from_data_dir(options, "admin-token", "--admin-token or CLAIMD_ADMIN_TOKEN")


def _from_data_dir(options: Namespace, name: str, instead: str) -> str:
    path = Path(options.data_dir) / name
    try:
        return path.read_text().strip()
    except OSError as error:
        raise DropError(
            f"{path} cannot be read ({error.strerror}); name claimd's --data-dir, or give {instead}"
        ) from None
