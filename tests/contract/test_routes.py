"""The table of routes is that of the two applications, and its examples are answers that could come."""

from unittest.mock import Mock

import orjson
import pytest
from aiohttp import web
from pydantic import ValidationError

from claimd.console import app as console
from claimd.contract.route import Route
from claimd.contract.routes import ALL_ROUTES, CONSOLE_ROUTES, PUBLIC_ROUTES
from claimd.domain.claims import claim_id
from claimd.gateway import app as gateway
from claimd.metrics.counts import Counts
from tests.contract import conformance


def _registered(app: web.Application) -> set[tuple[str, str]]:
    """Method and path of every route; HEAD comes with GET."""
    routes = ((route.method, route.resource) for route in app.router.routes())
    return {(method, resource.canonical) for method, resource in routes if resource is not None and method != "HEAD"}


def _listed(routes: tuple[Route, ...]) -> set[tuple[str, str]]:
    return {(route.method, route.path) for route in routes}


def test_every_public_route_is_listed_and_there() -> None:
    """Both ways."""
    assert _registered(gateway.create_app(Mock(), Counts())) == _listed(PUBLIC_ROUTES)


def test_every_console_route_is_listed_and_there() -> None:
    """Both ways."""
    assert _registered(console.create_app(Mock())) == _listed(CONSOLE_ROUTES)


def _id(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", ALL_ROUTES, ids=_id)
def test_examples_are_valid(route: Route) -> None:
    """Of answers and of bodies: a reader copies them."""
    for success in route.answers:
        if success.example is not None:
            conformance.check_model(success.model, success.example)
            assert success.model is not None
    assert (route.body is None) == (route.body_example is None)
    if route.body is not None and route.body_example is not None:
        route.body.model_validate(route.body_example)


def test_the_example_of_a_claim_has_the_id_that_it_would_have() -> None:
    """Anyone can recompute an id."""
    claim = next(route for route in PUBLIC_ROUTES if route.path.endswith("/claims")).answers[0].example
    assert claim is not None
    assert claim["claim"]["id"] == claim_id(claim["claim"]["round"], claim["claim"]["serial"])


def test_a_member_too_many_or_too_few_is_noticed() -> None:
    """A check that accepts anything would prove nothing."""
    route = conformance.route_of("public", "POST", "/v1/rounds/night/claims")
    assert route is not None
    success = route.answers[0]
    good = dict(success.example or {})
    headers = {"Cache-Control": "no-store", "Content-Type": "application/json", "Date": "now"}
    for wrong in ({**good, "hint": 1}, {"claim": good["claim"]}, {**good, "replayed": "false"}):
        with pytest.raises((ValidationError, AssertionError)):
            conformance.check_success("public", "POST", "/v1/rounds/night/claims", 201, headers, orjson.dumps(wrong))
    conformance.check_success("public", "POST", "/v1/rounds/night/claims", 201, headers, orjson.dumps(good))
    with pytest.raises(AssertionError, match="not known to answer 202"):
        conformance.check_success("public", "POST", "/v1/rounds/night/claims", 202, headers, orjson.dumps(good))
