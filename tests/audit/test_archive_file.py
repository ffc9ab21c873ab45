"""The file of an archived round: it is audited like a live round, and any damage is reported in a sentence."""

import asyncio
import gzip
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from claimd.audit.archive_file import ArchiveError, ArchiveFile, audit_archive, write_archive
from claimd.audit.audit import audit_round
from claimd.audit.export import export_lines
from claimd.domain.log import EditAction
from claimd.domain.rounds import Round
from claimd.store.memory import MemoryStore
from tests.rounds import definition, identities, now_ms

Lines = list[dict[str, Any]]


async def _filled() -> tuple[MemoryStore, Round]:
    store = MemoryStore(now_ms)
    await store.round_create(definition(total=9, pack={"折扣": 5}, eligibility={"city": ["杭州"]}), "created")
    for people in ((1, 2, 3), (4,), (5, 6, 1)):
        await store.claim("r1", identities(*people))
    await store.round_edit("r1", {"total_change": 1, "title": "Última"}, "one more", who="ada")
    await store.round_edit("r1", {"closed": True}, "over", action=EditAction.CLOSE)
    item = (await store.round("r1")).round
    assert item is not None
    return store, item


@pytest.fixture
async def archive(tmp_path: Path) -> Path:
    """The archive of a round with six claims and three edits."""
    store, item = await _filled()
    path = tmp_path / "r1.ndjson.gz"
    with path.open("wb") as file:
        await write_archive(store, item, 1234, file)
    return path


async def test_a_file_has_all_of_the_round(archive: Path) -> None:
    """Round, log, claims, audit and export equal those of the store; the digest is that of the file."""
    store, item = await _filled()
    file = ArchiveFile.open(archive)
    # They were read at different times.
    assert file.item.definition.pack == item.definition.pack
    assert (file.item.version, file.item.issued, file.item.closed) == (3, 6, True)
    assert [type(entry) for entry in await _all(file.log("r1"))] == [
        type(entry) for entry in await _all(store.log("r1"))
    ]
    assert {person for person, _ in await _all(file.claims("r1"))} == set(identities(1, 2, 3, 4, 5, 6))
    assert await _all(file.log("other")) == await _all(file.claims("other")) == []
    audited = await asyncio.to_thread(audit_archive, archive)
    assert audited.audit == await audit_round(store, "r1")
    assert audited.audit.ok
    assert audited.sha256 == _digest(archive)
    lines = b"".join(await _all(export_lines(file, "r1"))).splitlines()
    assert [json.loads(line)["serial"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_a_file_from_before_there_were_voids_is_read(archive: Path) -> None:
    """Format 1, whose last line counts two parts."""

    def age(lines: Lines) -> None:
        lines[0]["claimd_archive"] = 1
        del lines[0]["round"]["voided"]
        del lines[-1]["end"]["voids"]

    before = audit_archive(archive).audit
    assert audit_archive(_edited(archive, age)).audit == before
    assert before.ok


async def _all(items: Any) -> list[Any]:
    return [item async for item in items]


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _edited(path: Path, edit: Callable[[Lines], object]) -> Path:
    """Change the lines with `edit` and compress them again."""
    with gzip.open(path) as file:
        lines = [json.loads(line) for line in file]
    edit(lines)
    with gzip.open(path, "wb") as file:
        file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return path


def _claims(lines: Lines) -> Lines:
    return [line for line in lines if "identity" in line]


def _counted(lines: Lines, edit: Callable[[], object]) -> None:
    """Change the lines and correct the numbers in the last one, as a forger would."""
    edit()
    lines[-1]["end"] = {
        "log": sum("edit" in line or "grants" in line for line in lines),
        "claims": len(_claims(lines)),
        "voids": 0,
    }


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda lines: _counted(lines, lambda: lines.remove(_claims(lines)[2])), id="a claim removed"),
        pytest.param(
            lambda lines: _counted(lines, lambda: lines.insert(-1, {**_claims(lines)[0], "identity": "ff" * 16})),
            id="a claim added",
        ),
        pytest.param(lambda lines: _claims(lines)[0].update(identity="ff" * 16), id="another person"),
        pytest.param(lambda lines: _claims(lines)[0].update(claimed_at_ms=5), id="another time"),
        pytest.param(lambda lines: _claims(lines)[0].update(serial=2), id="another serial"),
        pytest.param(lambda lines: lines[0]["round"].update(issued=5), id="fewer issued"),
        pytest.param(lambda lines: lines[0]["round"]["definition"].update(total=5), id="fewer packs"),
        pytest.param(lambda lines: _counted(lines, lambda: lines.remove(_grants(lines)[1])), id="grants removed"),
        pytest.param(lambda lines: _grants(lines)[0]["grants"].update(first_serial=2), id="grants moved"),
    ],
)
def test_an_edited_file_fails_its_audit(archive: Path, edit: Callable[[Lines], object]) -> None:
    """The audit of a live round finds the change although the numbers in the last line are right."""
    digest = _digest(archive)
    audited = audit_archive(_edited(archive, edit))
    assert not audited.audit.ok
    assert audited.sha256 != digest


def _grants(lines: Lines) -> Lines:
    return [line for line in lines if "grants" in line]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        pytest.param(lambda lines: lines.pop(), "its end is missing", id="no end"),
        pytest.param(lambda lines: lines.pop(1), "lines of it are missing", id="an edit removed"),
        pytest.param(lambda lines: lines.remove(_claims(lines)[0]), "lines of it are missing", id="a claim removed"),
        pytest.param(lambda lines: lines.append(lines[-1]), "goes on after its end", id="two ends"),
        pytest.param(lambda lines: lines[-1].update(end=5), "lines of it are missing", id="an end that is no object"),
        pytest.param(lambda lines: lines[-1]["end"].update(more=0), "lines of it are missing", id="a part more"),
        pytest.param(lambda lines: lines[-1]["end"].pop("voids"), "lines of it are missing", id="a part less"),
        pytest.param(lambda lines: lines.insert(-1, lines[1]), r"line \d+ is out of place", id="log after claims"),
        pytest.param(lambda lines: lines[0].update(claimd_archive=3), "or of a later version", id="later version"),
        pytest.param(lambda lines: lines.pop(0), "no archive of claimd's", id="no head"),
        pytest.param(lambda lines: lines[0].pop("round"), "its first line is no round", id="no round"),
        pytest.param(lambda lines: lines[0]["round"].update(issued="many"), "is no round", id="no number"),
        pytest.param(lambda lines: lines[0]["round"].update(issued=2**60), "no round that there can be", id="too many"),
        pytest.param(lambda lines: lines[0]["round"]["definition"].update(id="../r"), "is no round", id="no id"),
        pytest.param(lambda lines: lines[1].update(edit=5), "line 2 is not understood", id="no edit"),
        pytest.param(lambda lines: _claims(lines)[0].update(serial="1"), "is not understood", id="serial as text"),
        pytest.param(lambda lines: _claims(lines)[0].update(serial=None), "is not understood", id="no serial"),
        pytest.param(lambda lines: _claims(lines)[0].update(identity="ff"), "is not understood", id="short identity"),
        pytest.param(lambda lines: _claims(lines)[0].update(identity="x" * 32), "is not understood", id="no hex"),
        pytest.param(lambda lines: _claims(lines)[0].update(identity=7), "is not understood", id="a number"),
        pytest.param(lambda lines: _grants(lines)[0].update(grants=[]), "is not understood", id="grants of nothing"),
        pytest.param(lambda lines: lines.insert(1, {"hello": 1}), "line 2 is not understood", id="another line"),
    ],
)
def test_a_damaged_file_is_reported_in_a_sentence(
    archive: Path, edit: Callable[[Lines], object], sentence: str
) -> None:
    """The sentence names the place; no damaged file passes."""
    with pytest.raises(ArchiveError, match=f"^{archive} is .*{sentence}"):
        audit_archive(_edited(archive, edit))


def test_a_truncated_file_never_passes(archive: Path) -> None:
    """Truncated at every byte."""
    whole = archive.read_bytes()
    for length in range(len(whole)):
        archive.write_bytes(whole[:length])
        with pytest.raises(ArchiveError, match=r"is damaged|is no archive"):
            audit_archive(archive)


def test_a_changed_byte_never_passes_unnoticed(archive: Path) -> None:
    """Some bits of the gzip header are unused: the content is the same then, and the digest differs."""
    whole, true = archive.read_bytes(), audit_archive(archive)
    for place in range(len(whole)):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            audited = audit_archive(archive)
        except ArchiveError:
            continue
        assert (audited.audit, audited.round) == (true.audit, true.round)
        assert audited.sha256 != true.sha256


@pytest.mark.parametrize(
    "content",
    [b"", b"text\n", gzip.compress(b""), gzip.compress(b"text"), gzip.compress(b"[]\n"), gzip.compress(b"{" * 10**7)],
    ids=["empty", "text", "packed nothing", "packed text", "a list", "an endless line"],
)
def test_another_file_is_no_archive(tmp_path: Path, content: bytes) -> None:
    """Files of other kinds, named by mistake, are rejected."""
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=f"^{path} is "):
        audit_archive(path)


def test_a_missing_file(tmp_path: Path) -> None:
    """The message has the error of the operating system; a folder is treated alike."""
    with pytest.raises(ArchiveError, match="cannot be read: No such file"):
        audit_archive(tmp_path / "nothing")
    with pytest.raises(ArchiveError, match="cannot be read: Is a directory"):
        audit_archive(tmp_path)
