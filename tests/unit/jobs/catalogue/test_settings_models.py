"""What MLXQ_MODELS names, before anything is looked for."""

from pathlib import Path

from jobs.catalogue.settings_models import DEFAULT_MODELS, needed_by, sources_of
from jobs.settings import Settings


def test_the_names_of_requests_and_what_they_stand_for(tmp_path: Path):
    (tmp_path / "a,b=c").mkdir()
    specs = (
        "org/a,task=embed",
        "short=org/long,draft=org/small",
        f"{tmp_path}",
        f"here={tmp_path}",
        f"{tmp_path}/a,b=c",
    )

    assert sources_of(specs) == {
        "org/a": "org/a",
        "short": "org/long",
        tmp_path.name: f"{tmp_path}",
        "here": f"{tmp_path}",
        "a,b=c": f"{tmp_path}/a,b=c",
    }


def test_models_adapters_and_drafts_are_needed(tmp_path: Path):
    specs = (f"q=Qwen/Q,adapter={tmp_path},draft=org/small", "org/b,task=embed")

    assert needed_by(specs) == {"Qwen/Q", f"{tmp_path}", "org/small", "org/b"}


def test_the_default_is_the_settings():
    assert Settings.model_fields["models"].default == DEFAULT_MODELS
