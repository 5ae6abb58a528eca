"""Which servers are taken, and what a user of one must be allowed to do."""

import re
from typing import Any

import pytest

from jobs.store.servers.flavour import judge
from jobs.store.servers.rights import COMMANDS
from tests.support.folders import ROOT


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        ("5.0.14", False),
        ("6.0.16", False),
        ("6.2.0", True),
        ("6.10.1", True),
        ("7.0.15", True),
        ("10.0.0", True),
        (8.0, True),  # redis-py makes a number of what looks like one
        ("unstable", True),
        ("", True),
    ],
)
def test_a_redis_that_lacks_commands_of_the_scripts_is_refused(version: Any, is_taken: bool):
    refusal, _ = judge({"redis_version": version})
    assert (refusal is None) == is_taken
    if refusal is not None:
        assert refusal == f"it is Redis {version}, and mlxq needs 6.2 or later: update it, or use Valkey"


def test_a_server_that_tells_no_version_is_taken():
    assert judge({}).refusal is None


def test_all_commands_of_the_scripts_are_among_the_rights():
    sources = [path.read_text() for path in (ROOT / "jobs" / "store" / "lua").glob("*.lua")]
    used = {
        name.lower()
        for source in sources
        for name in re.findall(r"(?:redis\.p?call|sure)\([^'()]*'([A-Z]+)'", source)
    }
    assert {"copy", "zrangebylex", "lpush", "hset"} <= used  # the search finds them in all their forms
    probed = {line.split()[0] for line in COMMANDS}
    assert used - probed == set()
