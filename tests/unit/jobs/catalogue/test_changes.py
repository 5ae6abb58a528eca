"""Names that are given and taken away."""

import pytest
from msgspec.structs import replace

from jobs.catalogue.changes import copied, created, merged, removed
from jobs.catalogue.defaults import ModelDefaults, PresetMessage
from jobs.catalogue.entry import Catalogue, CatalogueEntry
from jobs.catalogue.limits import MAX_ENTRIES, MAX_TEXT_BYTES
from jobs.errors import InvalidInput, UnknownModel

BASE = CatalogueEntry(
    name="base", source="org/base", folder="/base", pulled=True, created_at=1, modified_at=1
)
WARM = ModelDefaults("Rhyme.", {"temperature": 1.5, "seed": 7}, (PresetMessage("user", "Hi"),))
SERVED = ("MiniLM", "org/served")


def catalogue(*entries: CatalogueEntry) -> Catalogue:
    return Catalogue(1, entries)


def copy(of: Catalogue, source: str, name: str) -> Catalogue:
    return copied(of, source, name, served=SERVED, now=5)


def create(of: Catalogue, source: str, name: str, **more: object) -> Catalogue:
    return created(of, source, name, **{"defaults": ModelDefaults(), "served": SERVED, "now": 5, **more})  # pyright: ignore


def only(made: Catalogue, name: str) -> CatalogueEntry:
    found = made.find(name)
    assert found
    return found


@pytest.mark.parametrize(
    ("source", "of"), [("base", "base"), ("Base:latest", "base"), ("minilm:latest", "MiniLM")]
)
def test_a_copy_is_another_name_of_the_same_files(source: str, of: str):
    made = only(copy(catalogue(BASE), source, "poet:latest"), "poet")

    assert (made.name, made.of, made.folder, made.is_alias) == ("poet", of, "", True)
    assert (made.created_at, made.modified_at) == (5, 5)


def test_the_copy_of_an_alias_does_not_need_it():
    first = create(catalogue(BASE), "base", "poet", defaults=WARM, template="t", license="l")
    second = only(copy(first, "poet", "bard"), "bard")

    assert (second.of, second.defaults, second.template, second.license) == ("base", WARM, "t", "l")


def test_what_a_modelfile_says_goes_before_what_its_source_does():
    first = create(catalogue(BASE), "base", "poet", defaults=WARM)
    made = only(create(first, "poet", "cold", defaults=ModelDefaults("", {"temperature": 0})), "cold")

    assert made.of == "base"
    assert made.defaults == ModelDefaults("Rhyme.", {"temperature": 0, "seed": 7}, WARM.messages)
    assert merged(WARM, ModelDefaults("Be brief.", {}, (PresetMessage("user", "?"),))).system == "Be brief."


def test_an_alias_is_replaced_and_keeps_its_first_date():
    first = create(catalogue(BASE), "base", "poet", defaults=WARM, now=3)
    again = only(create(first, "base", "poet", defaults=ModelDefaults("New.")), "poet")

    assert again.defaults == ModelDefaults("New.")
    assert (again.created_at, again.modified_at) == (3, 5)


def test_an_alias_with_an_adapter_is_opened_by_itself_and_has_one():
    made = create(catalogue(BASE), "base", "tuned", adapter="/lora")

    assert not only(made, "tuned").is_alias and only(made, "tuned").adapter == "/lora"
    with pytest.raises(InvalidInput, match="has an adapter already"):
        create(made, "tuned", "twice", adapter="/other")


@pytest.mark.parametrize("name", ["base", "BASE:latest", "minilm", "org/served:latest"])
def test_the_name_of_a_model_with_files_is_taken(name: str):
    with pytest.raises(InvalidInput, match="remove it first, or choose another name"):
        copy(catalogue(BASE), "base", name)


def test_what_is_no_name_or_no_model_is_refused():
    with pytest.raises(InvalidInput, match="no name for a model"):
        copy(catalogue(BASE), "base", "../x")
    for change in (copy, create):
        with pytest.raises(UnknownModel, match="model 'other' not found"):
            change(catalogue(BASE), "other", "poet")
    with pytest.raises(UnknownModel, match="model 'other' not found"):
        removed(catalogue(BASE), "other", served=SERVED)


def test_a_removed_model_names_the_folder_that_nobody_needs_any_more():
    gone = removed(catalogue(BASE), "base:latest", served=())

    assert gone.catalogue.entries == () and gone.entry == BASE and gone.folder == "/base"


def test_the_folder_of_another_entry_stays():
    twin = CatalogueEntry(name="twin", folder="/base", created_at=1, modified_at=1)

    assert removed(catalogue(BASE, twin), "base", served=()).folder == ""


def test_an_alias_goes_alone():
    made = copy(catalogue(BASE), "base", "poet")
    gone = removed(made, "poet", served=())

    assert gone.catalogue.entries == (BASE,) and gone.folder == ""


def test_another_name_keeps_the_files_of_a_removed_model():
    made = create(catalogue(BASE), "base", "tuned", adapter="/lora")
    made = create(made, "base", "poet", defaults=WARM)
    made = copy(made, "base", "bard")
    gone = removed(made, "base", served=())

    assert gone.folder == ""
    names = {each.name: (each.of, each.folder, each.adapter) for each in gone.catalogue.entries}
    assert names == {"tuned": ("", "/base", "/lora"), "poet": ("", "/base", ""), "bard": ("poet", "", "")}
    assert only(gone.catalogue, "poet").defaults == WARM and only(gone.catalogue, "poet").pulled
    last = removed(removed(gone.catalogue, "tuned", served=()).catalogue, "poet", served=())
    assert [each.name for each in last.catalogue.entries] == ["bard"] and last.folder == ""
    assert removed(last.catalogue, "bard", served=()).folder == "/base"


def test_a_model_of_the_settings_is_not_removed_but_there():
    with pytest.raises(InvalidInput, match=r"MLXQ_MODELS.*take it out there"):
        removed(catalogue(BASE), "minilm:latest", served=SERVED)


QWEN = CatalogueEntry(
    name="Qwen/Q", source="Qwen/Q", folder="/hub/models--Qwen--Q/snapshots/aa", pulled=True, created_at=1, modified_at=1
)  # fmt: skip


@pytest.mark.parametrize("name", ["Qwen/Q", "qwen/q:LATEST"])
def test_a_pulled_model_that_the_settings_name_is_not_removed(name: str):
    with pytest.raises(InvalidInput, match="take it out there"):
        removed(catalogue(QWEN), name, served=("Qwen/Q",), needed=("Qwen/Q",))


@pytest.mark.parametrize(
    "needed", ["Qwen/Q", "qwen/Q", QWEN.folder, "/hub/models--Qwen--Q/snapshots/aa/lora"]
)
def test_files_that_the_settings_need_under_another_name_stay(needed: str):
    assert removed(catalogue(QWEN), "Qwen/Q", served=("q",), needed=(needed,)).folder == ""
    assert removed(catalogue(QWEN), "Qwen/Q", served=("q",), needed=("other/Q",)).folder == QWEN.folder


def test_a_quantised_copy_is_not_what_the_settings_mean():
    small = replace(QWEN, name="Q-4bit", folder="/data/models/Q-4bit", quantisation="4bit")

    assert removed(catalogue(small), "Q-4bit", served=("q",), needed=("Qwen/Q",)).folder == small.folder


@pytest.mark.parametrize("other", [{"draft": "/base"}, {"adapter": "/base/lora"}, {"draft": "org/base"}])
def test_the_adapter_and_the_draft_of_another_entry_stay(other: dict[str, str]):
    big = CatalogueEntry(name="big", folder="/big", created_at=1, modified_at=1, **other)  # pyright: ignore

    assert removed(catalogue(BASE, big), "base", served=()).folder == ""
    assert removed(catalogue(BASE, big), "big", served=()).folder == "/big"


@pytest.mark.parametrize(
    ("word", "more"),
    [
        ("system", {"defaults": ModelDefaults("é" * (MAX_TEXT_BYTES // 2) + "e")}),
        ("template", {"template": "t" * (MAX_TEXT_BYTES + 1)}),
        ("license", {"license": "l" * (MAX_TEXT_BYTES + 1)}),
        ("messages", {"defaults": ModelDefaults(messages=(PresetMessage("user", ""),) * 20_000)}),
        ("parameters", {"defaults": ModelDefaults(parameters={"stop": ("x" * MAX_TEXT_BYTES,)})}),
    ],
)
def test_a_text_is_not_endless(word: str, more: dict[str, object]):
    with pytest.raises(InvalidInput, match=f"{word}: [0-9]+ bytes; at most 262144 .256 KB. are kept"):
        create(catalogue(BASE), "base", "poet", **more)
    assert create(catalogue(BASE), "base", "poet", template="t" * MAX_TEXT_BYTES).find("poet")


def test_a_full_catalogue_takes_no_further_name_but_changes():
    aliases = [replace(BASE, name=f"a{number}", of="base") for number in range(MAX_ENTRIES - 1)]
    full = catalogue(BASE, *aliases)

    for change in (copy, create):
        with pytest.raises(InvalidInput, match=r"has 1000 models and aliases.*remove one"):
            change(full, "base", "one-more")
    assert create(full, "base", "a7", defaults=WARM).find("a7")
