"""What a sweep removes from the cache, and what it leaves."""

import os
from pathlib import Path

import pytest

from workers.hub.leftovers import sweep

DAY_S = 86_400
NOW = 100 * DAY_S
DIGEST = "0" * 64


def left(cache: Path, name: str, age_s: float) -> Path:
    path = cache / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"part")
    os.utime(path, (NOW - age_s, NOW - age_s))
    return path


@pytest.mark.parametrize(
    ("name", "age_s", "goes"),
    [
        (f"models--a--b/blobs/{DIGEST}.mlxq.incomplete", 8 * DAY_S, True),
        (f"models--a--b/blobs/{DIGEST}.mlxq.incomplete", 6 * DAY_S, False),
        # A process of huggingface_hub alone knows such a name, and never goes on with it once it has ended.
        (f"models--a--b/blobs/{DIGEST}.0a1b2c3d.incomplete", 2 * DAY_S, True),
        (f"models--a--b/blobs/{DIGEST}.0a1b2c3d.incomplete", DAY_S / 2, False),
        # Older ones go on with this.
        (f"models--a--b/blobs/{DIGEST}.incomplete", 80 * DAY_S, False),
        (f"datasets--a--b/blobs/{DIGEST}.0a1b2c3d.incomplete", 80 * DAY_S, False),
        (f"models--a--b/blobs/{DIGEST}", 80 * DAY_S, False),
    ],
)
def test_what_nobody_will_finish_goes(tmp_path: Path, name: str, age_s: float, goes: bool):
    path = left(tmp_path, name, age_s)

    assert sweep(tmp_path, NOW) == (4 if goes else 0)
    assert path.exists() != goes


def test_a_part_goes_whose_file_is_there(tmp_path: Path):
    part = left(tmp_path, f"models--a--b/blobs/{DIGEST}.mlxq.incomplete", 0)
    (part.parent / DIGEST).write_bytes(b"whole")

    sweep(tmp_path, NOW)

    assert [path.name for path in part.parent.iterdir()] == [DIGEST]
