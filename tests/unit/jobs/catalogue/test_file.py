import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.catalogue.defaults import ModelDefaults, PresetMessage
from jobs.catalogue.entry import Catalogue, CatalogueEntry
from jobs.catalogue.file import VERSION, CatalogueFile, CatalogueUnusable
from tests.support.folders import ROOT

ENTRY = CatalogueEntry(
    name="poet",
    of="base",
    defaults=ModelDefaults(
        "Rhyme.",
        {"temperature": 0.5, "stop": ("a", "b"), "num_predict": 3, "penalize_newline": True},
        (PresetMessage("user", "A word?"), PresetMessage("assistant", "Bird.")),
    ),
    created_at=1.5,
    modified_at=2.5,
)


def test_what_was_written_is_read_again(tmp_path: Path):
    file = CatalogueFile(tmp_path / "data")

    file.update(lambda it: it.with_entry(ENTRY))

    assert CatalogueFile(tmp_path / "data").read() == Catalogue(VERSION, (ENTRY,))


def test_without_a_file_there_is_nothing_and_reading_makes_none(tmp_path: Path):
    file = CatalogueFile(tmp_path / "data")

    assert file.read().entries == ()
    assert file.stamp() is None
    assert not (tmp_path / "data").exists()


def test_the_stamp_changes_with_the_file_alone(tmp_path: Path):
    file = CatalogueFile(tmp_path)
    file.update(lambda it: it.with_entry(ENTRY))
    first = file.stamp()

    file.update(lambda it: it.with_entry(ENTRY))
    assert file.stamp() == first  # nothing was to be changed

    file.update(lambda it: it.without("poet"))
    assert file.stamp() not in (first, None)


def test_only_its_user_may_read_it(tmp_path: Path):
    file = CatalogueFile(tmp_path / "data")
    file.update(lambda it: it.with_entry(ENTRY))

    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"entries":[]}', b'{"version":1,"entries":[{"name":3}]}']
)
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path, content: bytes):
    file = CatalogueFile(tmp_path)
    file.path.write_bytes(content)

    with pytest.raises(CatalogueUnusable, match=r"catalogue\.json is damaged .*Repair it, or move it away"):
        file.read()
    with pytest.raises(CatalogueUnusable):
        file.update(lambda it: it.with_entry(ENTRY))
    assert file.path.read_bytes() == content


def test_a_file_of_a_later_version_is_not_touched(tmp_path: Path):
    file = CatalogueFile(tmp_path)
    file.path.write_bytes(content := b'{"version":99,"entries":[{"unlike":"ours"}]}')

    with pytest.raises(CatalogueUnusable, match=r"later mlxq .version 99.*Upgrade"):
        file.update(lambda it: it.with_entry(ENTRY))
    assert file.path.read_bytes() == content


def test_a_change_that_fails_changes_nothing(tmp_path: Path):
    file = CatalogueFile(tmp_path)
    file.update(lambda it: it.with_entry(ENTRY))

    def fail(_: Catalogue) -> Catalogue:
        raise LookupError

    with pytest.raises(LookupError):
        file.update(fail)
    assert file.read().entries == (ENTRY,)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, value: float | str):
    file = CatalogueFile(tmp_path)
    file.update(lambda it: it.with_entry(ENTRY))
    bad = CatalogueEntry(
        name="bad", defaults=ModelDefaults("", {"temperature": value}), created_at=1, modified_at=1
    )

    with pytest.raises(CatalogueUnusable, match=r"catalogue\.json stays as it was: .*cannot be written"):
        file.update(lambda it: it.with_entry(bad))
    assert file.read().entries == (ENTRY,)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path):
    (tmp_path / "data").write_text("a file")

    with pytest.raises(CatalogueUnusable, match=r"Cannot use .*catalogue\.json: "):
        CatalogueFile(tmp_path / "data").update(lambda it: it.with_entry(ENTRY))


ADD_MANY = """
import sys
from pathlib import Path
from jobs.catalogue.defaults import ModelDefaults, PresetMessage
from jobs.catalogue.entry import CatalogueEntry
from jobs.catalogue.file import CatalogueFile
for number in range(25):
    entry = CatalogueEntry(name=f"{sys.argv[2]}-{number}", created_at=0, modified_at=0)
    CatalogueFile(Path(sys.argv[1])).update(lambda it: it.with_entry(entry))
"""


def test_processes_that_change_it_at_the_same_time_lose_nothing(tmp_path: Path):
    running = [
        subprocess.Popen([sys.executable, "-c", ADD_MANY, str(tmp_path), name], cwd=ROOT) for name in "abc"
    ]

    assert [process.wait() for process in running] == [0, 0, 0]
    names = {each.name for each in CatalogueFile(tmp_path).read().entries}
    assert names == {f"{name}-{number}" for name in "abc" for number in range(25)}


def test_neither_redis_nor_pydantic_is_imported_for_it():
    code = "import sys; import jobs.catalogue.file; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert not {"redis", "pydantic", "asyncio"} & set(run.stdout.split())
