"""Which of OpenBLAS's kernels suit a processor: it names them after the cores that they were written for.

OpenBLAS goes by model numbers. One that it does not know (newer than itself, or in a virtual machine), it
takes for an old one. /proc/cpuinfo names the instructions that a processor really has.
"""

from collections.abc import Set
from pathlib import Path

_AVX512 = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})

_KERNELS = (
    ("SkylakeX", _AVX512),
    ("Haswell", frozenset({"avx2", "fma"})),
    ("Sandybridge", frozenset({"avx"})),
    ("NeoverseV1", frozenset({"sve", "asimddp"})),
    ("NeoverseN1", frozenset({"asimddp"})),
)
"""Kernels with the flags that they need, fastest first."""

_BEFORE_AVX = frozenset(
    {
        "unknown",
        "generic",
        "katmai",
        "coppermine",
        "northwood",
        "prescott",
        "banias",
        "atom",
        "core2",
        "penryn",
    }
    | {"dunnington", "nehalem", "athlon", "opteron", "opteron_sse3", "barcelona", "bobcat", "nano", "armv8"}
)
_AVX_ALONE = frozenset({"sandybridge", "bulldozer", "piledriver", "steamroller", "excavator"})


def better_cores(chosen: str, flags: Set[str]) -> list[str]:
    """Cores to try instead of the one that OpenBLAS chose, best first; none where that one is good.

    flags: of the processor, as in /proc/cpuinfo.
    """
    suited = [core for core, needed in _KERNELS if needed <= flags]
    if chosen.lower() in _BEFORE_AVX:
        return suited
    if chosen.lower() in _AVX_ALONE:
        return [core for core in suited if core != "Sandybridge"]
    return []


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Of the first processor: `flags` on x86, `Features` on arm64."""
    for line in cpuinfo.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()
