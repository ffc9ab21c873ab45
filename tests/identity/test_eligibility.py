"""Eligibility: every named claim must hold one of its values."""

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
        ({"age": ["1"]}, {"age": 1}, False),
        ({**CITY, "kind": ["resident"]}, {"city": "ningbo", "kind": "resident"}, True),
        ({**CITY, "kind": ["resident"]}, {"city": "ningbo"}, False),
        ({**CITY, "kind": ["resident"]}, {"city": "ningbo", "kind": "visitor"}, False),
        ({"city": []}, {"city": "ningbo"}, False),
    ],
)
def test_who_is_eligible(eligibility: dict[str, list[str]], claims: dict[str, Any], eligible: bool) -> None:
    """All named claims, compared as they are spelled, each a string or a list of strings; nothing else is eligible."""
    assert is_eligible(eligibility, claims) is eligible
