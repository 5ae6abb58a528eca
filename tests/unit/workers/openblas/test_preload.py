import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from workers.openblas import library as finding
from workers.openblas import preload
from workers.openblas.preload import checked, preload_openblas, with_library
from workers.openblas.product import Product, Unusable

LIBRARY = Path("/lib/openblas.so")
XEON = frozenset({"avx", "avx2", "fma", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})
GOOD = Product(mapped=True, core="Zen", difference=1e-6, gflops=190, numpy_gflops=178)


class Measured:
    """Stands for the process that multiplies: an OpenBLAS that takes every processor for a Prescott."""

    def __init__(
        self,
        knows: tuple[str, ...] = (),
        default: Product = GOOD,
        *,
        dies_with: str = "",
        is_dynamic: bool = True,
    ) -> None:
        self._knows = knows
        self._default = default
        self._dies_with = dies_with
        self._is_dynamic = is_dynamic
        self.calls = 0

    def ask_core(self, environ: Mapping[str, str]) -> str | None:
        return self._default.core if self._is_dynamic else None

    def __call__(self, environ: Mapping[str, str], library: Path) -> Product:
        self.calls += 1
        core = environ.get("OPENBLAS_CORETYPE", "")
        if core and core == self._dies_with:
            raise Unusable("illegal instruction")
        return replace(self._default, core=core, gflops=190) if core in self._knows else self._default


PRESCOTT = replace(GOOD, core="Prescott", gflops=48)


@pytest.fixture
def _linux_cpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(finding, "CUDA_PACKAGES", ())


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    measured = Measured()
    monkeypatch.setattr(preload, "find_openblas", lambda: LIBRARY)
    monkeypatch.setattr(preload, "ask_core", measured.ask_core)
    monkeypatch.setattr(preload, "measure", measured)
    return measured


@pytest.mark.usefixtures("_linux_cpu", "measured")
def test_what_was_preloaded_before_stays():
    assert preload_openblas({"LD_PRELOAD": "/lib/jemalloc.so"})["LD_PRELOAD"].split() == [
        "/lib/openblas.so",
        "/lib/jemalloc.so",
    ]
    assert preload_openblas({"A": "b"})["LD_PRELOAD"] == "/lib/openblas.so"


@pytest.mark.usefixtures("_linux_cpu", "measured")
def test_its_threads_sleep_soon_unless_told_otherwise():
    assert preload_openblas({})["OPENBLAS_THREAD_TIMEOUT"] == "4"
    assert preload_openblas({"OPENBLAS_THREAD_TIMEOUT": "20"})["OPENBLAS_THREAD_TIMEOUT"] == "20"


@pytest.mark.usefixtures("_linux_cpu")
def test_a_child_of_a_process_that_preloads_it_measures_nothing_again(measured: Measured):
    environ = preload_openblas({"A": "b"})

    assert preload_openblas(environ) == environ
    assert measured.calls == 1


@pytest.mark.usefixtures("_linux_cpu")
def test_without_any_openblas_a_warning_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(preload, "find_openblas", lambda: None)

    assert preload_openblas({"A": "b"}) == {"A": "b"}
    assert "apt install libopenblas0-pthread" in caplog.text


def test_a_mac_and_a_machine_with_mlx_cuda_need_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(finding, "CUDA_PACKAGES", ("pytest",))  # a package that is installed
    assert preload_openblas({"A": "b"}) == {"A": "b"}

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(finding, "CUDA_PACKAGES", ())
    assert preload_openblas({"A": "b"}) == {"A": "b"}


@pytest.mark.usefixtures("_linux_cpu", "measured")
def test_one_that_cannot_be_preloaded_leaves_the_environment_and_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def refuse(environ: Mapping[str, str], library: Path) -> Product:
        raise Unusable("the dynamic linker did not load it")

    monkeypatch.setattr(preload, "measure", refuse)

    assert preload_openblas({"A": "b"}) == {"A": "b"}
    assert "14 times slower on this CPU: /lib/openblas.so: the dynamic linker did not load it" in caplog.text


def test_a_folder_with_a_space_goes_another_way_than_the_others():
    spaced = Path("/home/me/My Projects/openblas.so")

    environ = with_library({"LD_LIBRARY_PATH": "/opt/lib", "LD_PRELOAD": "/lib/jemalloc.so"}, spaced)

    assert environ["LD_PRELOAD"] == "openblas.so /lib/jemalloc.so"
    assert environ["LD_LIBRARY_PATH"] == "/home/me/My Projects:/opt/lib"
    assert "LD_LIBRARY_PATH" not in with_library({}, LIBRARY)


def core_of(environ: Mapping[str, str], measured: Measured, flags: frozenset[str] = XEON) -> str | None:
    return checked(environ, LIBRARY, flags, measured.ask_core, measured).get("OPENBLAS_CORETYPE")


def test_kernels_for_an_old_processor_are_replaced(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")

    measured = Measured(("SkylakeX", "Haswell"), PRESCOTT)

    assert core_of({}, measured) == "SkylakeX"

    assert measured.calls == 1
    (logged,) = [vars(each) for each in caplog.records if "took this processor for another" in each.message]
    assert (logged["taken_for"], logged["gets_kernels_of"]) == ("Prescott", "SkylakeX")
    fields = vars(caplog.records[-1])
    assert (fields["core"], fields["gflops"], fields["numpy_gflops"]) == ("SkylakeX", 190, 178)


def test_kernels_that_it_does_not_have_or_that_kill_it_are_passed_over():
    assert core_of({}, Measured(("Haswell",), PRESCOTT)) == "Haswell"
    assert core_of({}, Measured(("Haswell", "SkylakeX"), PRESCOTT, dies_with="SkylakeX")) == "Haswell"
    assert core_of({}, Measured((), PRESCOTT)) is None


def test_a_good_choice_is_kept_and_measured_once():
    measured = Measured(("SkylakeX",))

    assert core_of({}, measured) is None
    assert measured.calls == 1


def test_an_openblas_without_other_kernels_is_measured_once():
    measured = Measured(("SkylakeX",), PRESCOTT, is_dynamic=False)

    assert core_of({}, measured) is None
    assert measured.calls == 1


def test_the_users_own_choice_is_kept_and_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")

    assert core_of({"OPENBLAS_CORETYPE": "Prescott"}, Measured(("SkylakeX",), PRESCOTT)) == "Prescott"

    assert vars(caplog.records[-1])["OPENBLAS_CORETYPE"] == "Prescott"
