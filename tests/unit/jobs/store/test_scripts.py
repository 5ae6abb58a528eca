"""The scripts as Redis gets them: each with what it needs of lib.lua."""

import re
from importlib import resources

import pytest

from jobs.store.scripts import script

FOLDER = resources.files("jobs.store") / "lua"
NAMES = sorted(file.name.removesuffix(".lua") for file in FOLDER.iterdir() if file.name != "lib.lua")


def defined(source: str) -> list[str]:
    return re.findall(r"^local function (\w+)", source, re.MULTILINE)


SHARED = set(defined((FOLDER / "lib.lua").read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_each_shared_function_that_it_calls_once(name: str):
    code = re.sub("--.*", "", script(name))
    called = SHARED & set(re.findall(r"(\w+)\(", code))
    assert {each: defined(code).count(each) for each in called} == dict.fromkeys(called, 1)


def test_a_script_has_no_shared_function_that_it_does_not_need():
    assert "now" in defined(script("admit"))
    assert "fail" not in defined(script("admit"))
    assert len(defined(script("renew"))) < len(SHARED) / 4
