from jobs.catalogue.entry import Catalogue, CatalogueEntry


def entry(name: str, of: str = "", **more: str) -> CatalogueEntry:
    return CatalogueEntry(name=name, of=of, created_at=1, modified_at=1, **more)  # pyright: ignore[reportArgumentType]


def test_a_name_is_found_with_and_without_latest_and_in_any_letters():
    catalogue = Catalogue(1, (entry("Poet"), entry("poet:8b")))

    assert [catalogue.find(name) for name in ("poet", "POET:latest")] == [catalogue.entries[0]] * 2
    assert catalogue.find("poet:8b") == catalogue.entries[1]
    assert catalogue.find("poe") is None


def test_an_alias_of_an_alias_leads_to_the_files():
    catalogue = Catalogue(1, (entry("a", "b"), entry("b", "c:latest"), entry("c", folder="/c")))

    found = catalogue.find_root("A")
    assert found and found.folder == "/c"
    assert catalogue.aliases_of("b") == catalogue.entries[:1]


def test_aliases_that_lead_nowhere_or_in_a_circle_have_no_files():
    catalogue = Catalogue(1, (entry("a", "b"), entry("b", "a"), entry("c", "gone")))

    assert [catalogue.find_root(name) for name in "abc"] == [None] * 3


def test_an_entry_takes_the_place_of_one_of_the_same_name():
    catalogue = Catalogue(1, (entry("a"), entry("b")))

    assert [each.source for each in catalogue.with_entry(entry("A", source="x")).entries] == ["x", ""]
    assert [each.name for each in catalogue.with_entry(entry("c")).entries] == ["a", "b", "c"]
    assert [each.name for each in catalogue.without("a:latest").entries] == ["b"]
    assert catalogue.without("z") == catalogue


def test_only_an_alias_with_weights_of_its_own_is_opened():
    assert entry("a", "b").is_alias
    assert not entry("a", "b", adapter="/x").is_alias
    assert not entry("a", "b", draft="x").is_alias
    assert not entry("a", folder="/a").is_alias
