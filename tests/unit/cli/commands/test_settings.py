import re

from cli.commands.settings import settings_table
from jobs.settings import Settings
from tests.support.folders import ROOT

OPERATIONS = ROOT / "docs" / "operations.md"


def test_the_documented_settings_are_the_real_ones():
    found = re.search(r"<!-- settings: .*? -->\n(.*?)\n<!-- /settings -->", OPERATIONS.read_text(), re.DOTALL)

    assert found is not None
    assert found[1] == settings_table(), "put the output of `mlxq settings` into docs/operations.md"


def test_every_setting_has_a_row_with_its_meaning():
    rows = settings_table().splitlines()[2:]

    assert len(rows) == len(Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())
