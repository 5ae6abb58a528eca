import pytest

from jobs.catalogue.names import MAX_CHARACTERS, checked_name, with_tag, without_latest


@pytest.mark.parametrize(
    ("name", "kept", "listed"),
    [
        ("llama", "llama", "llama:latest"),
        ("llama:latest", "llama", "llama:latest"),
        ("llama:8b", "llama:8b", "llama:8b"),
        ("Llama:LATEST", "Llama", "Llama:LATEST"),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B:latest"),
        ("host:80/name", "host:80/name", "host:80/name:latest"),
    ],
)
def test_the_tag_latest_need_not_be_said(name: str, kept: str, listed: str):
    assert without_latest(name) == kept
    assert with_tag(name) == listed
    assert with_tag(kept).casefold() == listed.casefold()


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a", "a"), ("poet:latest", "poet"), ("poet:v1.5", "poet:v1.5"), ("org/c++_x", "org/c++_x")],
)
def test_a_name_is_kept_without_latest(name: str, kept: str):
    assert checked_name(name) == kept


@pytest.mark.parametrize(
    "name",
    ["", ":latest", "../x", "a b", "a/b/c/d", "-a", "a:", "a:b:c", "/a", "a/", "é", "a\n", "a=b", "x" * 201],
)
def test_what_is_no_name_is_refused_and_told_what_one_is(name: str):
    with pytest.raises(ValueError, match=f"NAME:TAG.*{MAX_CHARACTERS}"):
        checked_name(name)
