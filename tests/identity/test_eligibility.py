"""Eligibility: every claim that a round names must have one of the allowed values."""

from typing import Any

import pytest

from claimd.identity.eligibility import is_eligible

CITY = {"city": ["hangzhou", "ningbo"]}


@pytest.mark.parametrize(
    ("eligibility", "claims", "eligible"),
    [
        ({}, {}, True),
        ({}, {"city": "elsewhere"}, True),
        (CITY, {"city": "hangzhou"}, True),
        (CITY, {"city": "ningbo", "more": 1}, True),
        (CITY, {"city": ["elsewhere", "ningbo"]}, True),
        (CITY, {"city": "Hangzhou"}, False),
        (CITY, {"city": " hangzhou"}, False),
        (CITY, {"city": "hang"}, False),
        (CITY, {"city": ""}, False),
        (CITY, {"city": None}, False),
        (CITY, {"city": []}, False),
        (CITY, {"city": [["hangzhou"]]}, False),
        (CITY, {"city": {"hangzhou": True}}, False),
        (CITY, {}, False),
        ({"adult": ["true"]}, {"adult": True}, False),
        ({"adult": [True]}, {"adult": True}, True),
        ({"adult": [True]}, {"adult": False}, False),
        ({"adult": [True]}, {"adult": 1}, False),
        ({"adult": [True]}, {"adult": "true"}, False),
        ({"adult": [False]}, {"adult": 0}, False),
        ({"adult": [False]}, {"adult": None}, False),
        ({"adult": [False]}, {}, False),
        ({"adult": [1]}, {"adult": True}, False),
        ({"age": ["1"]}, {"age": 1}, False),
        ({"age": [1]}, {"age": "1"}, False),
        ({"age": [1, 2]}, {"age": 2}, True),
        ({"age": [1]}, {"age": 1.0}, True),
        ({"age": [1.5]}, {"age": 1.5}, True),
        ({"age": [1]}, {"age": [3, True, 1]}, True),
        ({"age": [1]}, {"age": [3, True, "1"]}, False),
        ({"realm_access.roles": ["resident"]}, {"realm_access": {"roles": ["a", "resident"]}}, True),
        ({"realm_access.roles": ["resident"]}, {"realm_access": {"roles": "resident"}}, True),
        ({"realm_access.roles": ["resident"]}, {"realm_access": {"roles": ["a"]}}, False),
        ({"realm_access.roles": ["resident"]}, {"realm_access": ["resident"]}, False),
        ({"realm_access.roles": ["resident"]}, {"realm_access": {"roles": {"resident": True}}}, False),
        ({"realm_access.roles": ["resident"]}, {"roles": ["resident"]}, False),
        ({"a.b.c.d": [1]}, {"a": {"b": {"c": {"d": 1}}}}, True),
        ({"a.b.c.d": [1]}, {"a": {"b.c": {"d": 1}}}, True),
        ({"a.b.c.d": [1]}, {"a.b": {"c.d": 1}}, True),
        ({"a.b.c.d": [1]}, {"a.b": {"x": 1}, "a": {"b.c": {"d": 1}}}, True),
        ({"a.b.c.d": [1]}, {"a": {"b": {"c": 1}}}, False),
        ({"a.b": ["x"]}, {"a.b": "x", "a": {"b": "y"}}, True),
        ({"a.b": ["y"]}, {"a.b": "x", "a": {"b": "y"}}, False),
        ({".": ["x"]}, {"": {"": "x"}}, False),
        ({"https://city.example/district": ["x"]}, {"https://city.example/district": "x"}, True),
        ({"scope": ["drop"]}, {"scope": "openid drop email"}, True),
        ({"scope": ["drop"]}, {"scope": "drop"}, True),
        ({"scope": ["drop"]}, {"scope": ["openid", "drop"]}, True),
        ({"scope": ["drop"]}, {"scope": "openid dropping"}, False),
        ({"scope": ["drop"]}, {"scope": ""}, False),
        ({"scp": ["drop"]}, {"scp": "User.Read drop"}, True),
        ({"name": ["drop"]}, {"name": "a drop"}, False),
        ({**CITY, "kind": ["resident"]}, {"city": "ningbo", "kind": "resident"}, True),
        ({**CITY, "kind": ["resident"]}, {"city": "ningbo"}, False),
        ({**CITY, "kind": ["resident"]}, {"city": "ningbo", "kind": "visitor"}, False),
        ({"city": []}, {"city": "ningbo"}, False),
    ],
)
def test_who_is_eligible(eligibility: dict[str, list[Any]], claims: dict[str, Any], eligible: bool) -> None:
    """All named claims are compared as JSON; one item of a list suffices; a full name precedes a nested one."""
    assert is_eligible(eligibility, claims) is eligible
