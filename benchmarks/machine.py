"""What kind of machine a measurement ran on, without its name; recorded beside every result."""

import os
import platform
from pathlib import Path

import torch

from fairseq_plugin.core.cpu_products import fast_fp32_available

KNOWN = {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16"}


def machine_class(threads: int, device: str = "cpu") -> dict:
    """Processor, cores, the instruction sets that matter, torch, and which products are fast."""
    fields = {}
    if Path("/proc/cpuinfo").exists():
        lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().split("\n"))
        fields = {key.strip(): value.strip() for key, _, value in lines}
    found = {
        "cpu": fields.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "threads": threads,
        "flags": sorted(KNOWN & set(fields.get("flags", "").split())),
        "torch": torch.__version__,
    }
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    return found | {"fast_fp32_products": fast_fp32_available()}
