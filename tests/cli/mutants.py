"""Changes that `tests/cli/` must notice; `python -m tests.mutation` tries each."""

from tests.mutation import Mutant

MUTANTS = (
    Mutant(
        "numbers cut on a terminal",
        "claimd/cli/terminal/show.py",
        "_terminal(_natural_width(table)).print(table)",
        "Terminal(highlight=False).print(table)",
        "tests/cli/test_streams.py::test_what_is_shown_is_whole_on_a_narrow_terminal",
    ),
    Mutant(
        "output lost without a word",
        "claimd/cli/terminal/streams.py",
        "raise OutputError(error) from None",
        "return",
        "tests/cli/test_streams.py::test_output_that_cannot_be_written_is_reported_in_a_line",
    ),
    Mutant(
        "Ctrl-C does not end a question",
        "claimd/cli/console_command.py",
        "runner.get_loop().run_until_complete(talk())",
        "runner.run(talk())",
        "tests/cli/test_streams.py::test_ctrl_c_ends_a_question",
    ),
    Mutant(
        "an export replaces a device",
        "claimd/cli/commands/export.py",
        "return stat.S_ISREG(mode)",
        "return True",
        "tests/cli/test_streams.py::test_an_export_into_a_pipe_leaves_it_a_pipe",
    ),
    Mutant(
        "the last of two equal names counts",
        "claimd/domain/strict_json.py",
        "if name in members:",
        "if False:",
        "tests/cli/test_words.py",
    ),
    Mutant(
        "an offset is guessed",
        "claimd/domain/times.py",
        "if not _RFC3339.fullmatch(text):",
        'text = text if _RFC3339.fullmatch(text) else text + "Z"\n    if not _RFC3339.fullmatch(text):',
        "tests/cli/test_words.py",
    ),
    Mutant(
        "titles that a terminal obeys",
        "claimd/cli/terminal/show.py",
        "return escape(printable(text))",
        "return escape(text)",
        "tests/cli/test_printable.py",
    ),
    Mutant(
        "lines go missing unsaid",
        "claimd/cli/terminal/outlet.py",
        "            count = self._missing.pop(fd)\n",
        "            count = self._missing.pop(fd)\n            return\n",
        "tests/cli/test_outlet.py",
    ),
    Mutant(
        "development tokens from other machines",
        "claimd/up/development_key.py",
        "is_local = settings.redis_url is None and is_loopback(settings.host)",
        "is_local = True",
        "tests/cli/test_dev_token.py::test_development_tokens_beyond_this_machine_are_asked_for",
    ),
    Mutant(
        "a gateway alone takes the development key",
        "claimd/cli/commands/roles.py",
        "        asyncio.run(refuse_development_jwks(settings))\n",
        "",
        "tests/cli/test_dev_token.py::test_a_role_alone_refuses_the_development_key",
    ),
    Mutant(
        "tokens of any issuer by the development key",
        "claimd/up/development_key.py",
        '"jwt_issuer": ISSUER, ',
        "",
        "tests/cli/test_dev_token.py::test_a_token_of_another_issuer_is_rejected",
    ),
)
