"""Lending float32 products to the faster library changes neither their precision nor the process."""

from pathlib import Path

import pytest
import torch

from fairseq_plugin.core import cpu_products
from fairseq_plugin.core.cpu_products import fast_fp32_available, fast_fp32_products

ZEN4 = ("AuthenticAMD", frozenset({"avx512f", "avx512_bf16"}))


def setting():
    return torch.backends.mkldnn.matmul.fp32_precision


@pytest.fixture
def judged_anew(monkeypatch):
    """Ask about a processor of our own making; the answer for this machine is kept apart."""
    fast_fp32_available.cache_clear()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    yield lambda processor: monkeypatch.setattr(cpu_products, "_processor", lambda: processor)
    fast_fp32_available.cache_clear()


@pytest.mark.parametrize("shape", [(1, 7, 3), (200, 300, 100), (512, 768, 2048)])
def test_products_round_as_float32(shape):
    rows, inner, columns = shape
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    truth = a.double() @ b.double()
    with fast_fp32_products():
        fast = a @ b
    plain = a @ b
    error, allowed = ((x - truth).abs().max() for x in (fast, plain))
    assert error <= 4 * allowed + torch.finfo(torch.float32).eps * truth.abs().max()


def test_the_setting_is_put_back_after_an_error():
    before = setting()
    with pytest.raises(KeyError), fast_fp32_products():
        raise KeyError
    assert setting() == before


def test_other_devices_leave_it_alone():
    before = setting()
    with fast_fp32_products("cuda"):
        assert setting() == before


@pytest.mark.parametrize(
    "processor",
    [
        ("GenuineIntel", frozenset({"avx512f"})),  # MKL is fast there
        ("AuthenticAMD", frozenset({"avx512f", "amx_bf16"})),  # products would be rounded to bfloat16
        ("unknown", frozenset()),
    ],
)
def test_other_processors_leave_it_alone(judged_anew, processor):
    judged_anew(processor)
    before = setting()
    assert not fast_fp32_available()
    with fast_fp32_products():
        assert setting() == before


def test_a_library_that_rounds_to_bfloat16_is_not_used(judged_anew, monkeypatch):
    judged_anew(ZEN4)
    monkeypatch.setattr(cpu_products, "_rounds_like_fp32", lambda: False)
    assert not fast_fp32_available()


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo: not Linux")
def test_the_processor_is_read_from_the_system():
    vendor, flags = cpu_products._processor()
    words = Path("/proc/cpuinfo").read_text().split()
    assert vendor == "unknown" or vendor in words
    assert flags <= set(words) and ("avx2" in flags) == ("avx2" in words)
