"""The drop, for Locust: `locust -f loadtest/locustfile.py --host http://127.0.0.1:8080`, with the web page, headless,
or with `--processes` or workers. Users, spawn rate and the end of the test take care of themselves; see also `--help`.
"""

from typing import Any

from locust import events
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, Runner, WorkerRunner

from loadtest.drop import options, sizes
from loadtest.drop.conductor import Conductor
from loadtest.drop.generator import Generator
from loadtest.drop.users import AppUser, CrowdUser

__all__ = ["AppUser", "CrowdUser"]


@events.init.add_listener  # type: ignore[untyped-decorator]
def compose(environment: Environment, runner: Runner, **_: Any) -> None:
    """Compose the parts: a generator in each process that runs users, a conductor in the one that leads the test."""
    given = options.options_of(environment)
    AppUser.fixed_count = options.app_users_for(given)
    if given.num_users is None:
        given.num_users = sizes.connections_for(given.pool) + AppUser.fixed_count
    if given.spawn_rate is None:
        given.spawn_rate = given.num_users
    if isinstance(runner, (LocalRunner, WorkerRunner)):
        CrowdUser.generator = AppUser.generator = generator = Generator(environment, runner)
        environment.events.test_start.add_listener(lambda **_: generator.reset())  # type: ignore[no-untyped-call]
    if isinstance(runner, (LocalRunner, MasterRunner)):
        if not AppUser.fixed_count and AppUser in environment.user_classes:
            # To Locust a count of 0 means "no fixed count": half of all users would be app users with nothing to do.
            environment.user_classes.remove(AppUser)
        Conductor(environment, runner)
