"""Changes that `tests/http/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "a page with Markdown as it stands",
        "claimd/http/documentation/page.html.jinja",
        "{{ answer.description | inline }}",
        "{{ answer.description }}",
        "tests/http/documentation/test_page.py",
    ),
    Mutant(
        "connections handed over not counted",
        "claimd/http/admission.py",
        "self._doors: Collection[Door] = {front, behind}",
        "self._doors: Collection[Door] = {front}",
        "tests/http/test_admission.py",
    ),
    Mutant(
        "a line for each rejected connection",
        "claimd/http/admission.py",
        "call_later(_REPORT_SECONDS, self._report)",
        "call_soon(self._report)",
        "tests/http/test_admission.py",
    ),
    Mutant(
        "all sent away for the same time",
        "claimd/http/problems.py",
        "int(random.random() * len(spread))",
        "0",
        "tests/http/test_refusals.py",
    ),
    Mutant(
        "a cache may keep an answer",
        "claimd/http/caching.py",
        "response.headers.setdefault(hdrs.CACHE_CONTROL, NO_STORE)",
        "pass",
        "tests/http/test_caching.py",
    ),
    Mutant(
        "a cache may keep what the library refuses",
        "claimd/http/aiohttp_door.py",
        "            forbid_caching(answer)\n",
        "            pass\n",
        "tests/http/test_caching.py",
    ),
    Mutant(
        "a cache may keep a claim of the lane",
        "claimd/http/raw_answers.py",
        'f"Cache-Control: {cache_control}\\r\\n"',
        '""',
        "tests/http/test_caching.py",
    ),
    Mutant(
        "a list read by each who asks",
        "claimd/gateway/round_lists.py",
        "self._clock() - page.read_at >= _FRESH_SECONDS",
        "self._clock() - page.read_at >= 0",
        "tests/http/test_round_pages.py",
    ),
    Mutant(
        "a language that is refused is chosen",
        "claimd/http/languages.py",
        "if self.rank is not None and self.rank[0] > 0:",
        "if self.rank is not None:",
        "tests/http/test_languages.py",
    ),
    Mutant(
        "one language for the bytes of all",
        "claimd/http/raw_answers.py",
        "body = problem.body(language)",
        "body = problem.body()",
        "tests/http/test_languages.py",
    ),
    Mutant(
        "304 for any ETag",
        "claimd/http/caching.py",
        'return any(tag == "*" or tag.removeprefix("W/") == wanted for tag in given)',
        "return any(given)",
        "tests/http/documentation/test_handlers.py",
    ),
    Mutant(
        "a page that allows any style",
        "claimd/http/documentation/page.py",
        "style-src 'sha256-{digest}'",
        "style-src 'unsafe-inline'",
        "tests/http/documentation/test_page.py",
    ),
    Mutant(
        "HTML in a description",
        "claimd/http/documentation/page.py",
        '{"html": False}',
        '{"html": True}',
        "tests/http/documentation/test_page.py",
    ),
)
