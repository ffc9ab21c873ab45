"""Changes that `tests/contract/` and its check of all answers must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "an answer with a member that no model has",
        "claimd/http/documents.py",
        '        "paused": item.paused,\n',
        '        "paused": item.paused,\n        "closed": item.closed,\n',
        "tests/console/test_edits.py",
    ),
    Mutant(
        "a problem with a member that its code does not have",
        "claimd/console/rounds.py",
        "details.ISSUED_ALREADY(issued=held), issued=held)",
        "details.ISSUED_ALREADY(issued=held), issued=held, version=version)",
        "tests/console/test_rounds.py::test_a_total_below_what_was_issued_is_rejected",
    ),
    Mutant(
        "a code that its route does not name",
        "claimd/contract/routes.py",
        "            Code.TOTAL_BELOW_ISSUED,\n            Code.ARCHIVED,\n",
        "            Code.ARCHIVED,\n",
        "tests/console/test_rounds.py::test_a_total_below_what_was_issued_is_rejected",
    ),
    Mutant(
        "a problem without its Retry-After",
        "claimd/http/problems.py",
        "    return Problem(code, detail, headers=one_of(RETRY_AFTER))",
        "    return Problem(code, detail)",
        "tests/gateway/test_answers.py::test_a_lost_server_is_503_until_it_is_back",
    ),
    Mutant(
        "a route that is in no table",
        "claimd/gateway/app.py",
        'web.get("/readyz", readyz),',
        'web.get("/readyz", readyz), web.get("/livez", healthz),',
        "tests/contract/test_routes.py",
    ),
    Mutant(
        "a page that is out of date",
        "claimd/contract/limits.py",
        "MAX_ROUNDS_PER_PAGE: Final = 100",
        "MAX_ROUNDS_PER_PAGE: Final = 50",
        "tests/contract/test_reference.py",
    ),
    Mutant(
        "a status written by hand",
        "claimd/http/middleware.py",
        "    if code is None:\n",
        "    if code is None and error.status != 404:\n",
        "tests/contract/test_problems.py",
    ),
    Mutant(
        "a code that the documents leave out",
        "claimd/contract/route.py",
        "        if self.needs_server:\n            yield Code.UNAVAILABLE\n",
        "",
        "tests/contract/test_problems.py",
    ),
    Mutant(
        "a code that the documents have too many",
        "claimd/contract/route.py",
        "        if self.needs_server:\n            yield Code.UNAVAILABLE\n",
        "        yield Code.UNAVAILABLE\n",
        "tests/contract/test_documented_answers.py",
    ),
    Mutant(
        "an answer without a documented header",
        "claimd/contract/openapi.py",
        "    return (cache_control(success.cache_control), DATE, *success.headers, *api.headers)",
        "    return (cache_control(success.cache_control), DATE, *api.headers)",
        "tests/contract/test_documented_answers.py",
    ),
    Mutant(
        "answers to pages of other origins that are not documented",
        "claimd/contract/openapi.py",
        '"Errors", "Browsers"),\n    CROSS_ORIGIN,\n',
        '"Errors", "Browsers"),\n',
        "tests/contract/test_documented_answers.py",
    ),
    Mutant(
        "bounds that the documents do not have",
        "claimd/contract/fields.py",
        "    WithJsonSchema(_NEW_TIME),\n",
        "",
        "tests/schemathesis/test_sides.py",
    ),
    Mutant(
        "a body for HEAD",
        "claimd/console/streams.py",
        "if request.method == hdrs.METH_HEAD:",
        "if False:",
        "tests/http/test_bad_input.py::test_a_head_for_the_export_has_no_body_on_the_wire",
    ),
)
