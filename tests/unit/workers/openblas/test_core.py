"""Kernels by what the processor can do, where OpenBLAS's own choice is a poor one."""

from pathlib import Path

import pytest

from workers.openblas.core import better_cores, processor_flags

SSE = "fpu sse sse2 ssse3 sse4_1 sse4_2"
AVX = f"{SSE} avx"
AVX2 = f"{AVX} avx2 fma bmi2"
AVX512 = f"{AVX2} avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni amx_tile"
KNIGHTS_LANDING = f"{AVX2} avx512f avx512cd avx512er avx512pf"
NEON = "fp asimd aes crc32 atomics"
NEOVERSE_N1 = f"{NEON} asimddp"
NEOVERSE_V1 = f"{NEOVERSE_N1} sve bf16"


@pytest.mark.parametrize(
    ("chosen", "flags", "better"),
    [
        (
            "Prescott",
            AVX512,
            ["SkylakeX", "Haswell", "Sandybridge"],
        ),  # a Sapphire Rapids, seen by OpenBLAS 0.3.15
        ("Prescott", AVX2, ["Haswell", "Sandybridge"]),  # a Zen with a model number of its own
        ("Core2", KNIGHTS_LANDING, ["Haswell", "Sandybridge"]),
        ("Nehalem", AVX, ["Sandybridge"]),
        ("Barcelona", SSE, []),
        ("Sandybridge", AVX512, ["SkylakeX", "Haswell"]),
        ("Bulldozer", AVX, []),
        ("Zen", AVX512, []),  # good: with 512 bits its products are as fast
        ("Haswell", AVX512, []),
        ("SkylakeX", AVX512, []),
        ("SomethingNew", AVX512, []),
        ("armv8", NEOVERSE_V1, ["NeoverseV1", "NeoverseN1"]),
        ("armv8", NEOVERSE_N1, ["NeoverseN1"]),
        ("armv8", NEON, []),
        ("neoversen1", NEOVERSE_N1, []),
    ],
)
def test_a_core_that_is_too_old_is_replaced_by_the_best_that_the_flags_allow(
    chosen: str, flags: str, better: list[str]
):
    assert better_cores(chosen, frozenset(flags.split())) == better


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (
            "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 fma\nvmx flags\t: vnmi\n",
            {"fpu", "avx2", "fma"},
        ),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd0c\n", {"fp", "asimd", "asimddp"}),
        ("processor\t: 0\n", set()),
    ],
)
def test_flags_are_read_on_both_architectures(text: str, flags: set[str], tmp_path: Path):
    (tmp_path / "cpuinfo").write_text(text)

    assert processor_flags(tmp_path / "cpuinfo") == flags
