"""The machine that the figures are from."""

from __future__ import annotations

import platform
from pathlib import Path

import torch
from attrs import frozen

from bebertlab.bench.setting import Setting
from bebertlab.inference.int8 import exact_products
from bebertlab.processors import processors

_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")
#: instructions that decide how fast matrix products are, as Linux calls them
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16", "sve")


@frozen(kw_only=True)
class Machine:
    """What ratios depend on."""

    processor: str
    cores: int  #: that this process may use
    threads: int  #: of torch
    instructions: tuple[str, ...]
    byte_products: bool  #: torch multiplies bytes here and exactly so, which predictions of low-bit models then do
    memory_gibibytes: float | None  #: None: not known
    torch: str
    transformers: str
    device: str
    gpu: str | None


def machine(setting: Setting) -> Machine:
    """This machine."""
    from importlib.metadata import version

    fields = _fields(_CPUINFO)
    known = set(fields.get("flags", fields.get("Features", "")).split())
    memory = _fields(_MEMINFO).get("MemTotal")
    return Machine(
        processor=fields.get("model name", platform.processor() or platform.machine()),
        cores=processors().usable,
        threads=setting.threads,
        instructions=tuple(name for name in _INSTRUCTIONS if name in known),
        byte_products=exact_products(),
        memory_gibibytes=None if memory is None else round(int(memory.split()[0]) / 2**20, 1),
        torch=torch.__version__,
        transformers=version("transformers"),
        device=setting.device,
        gpu=torch.cuda.get_device_name(setting.device) if setting.on_gpu else None,
    )


def _fields(file: Path) -> dict[str, str]:
    """`name: value` lines; of several with a name the first."""
    if not file.is_file():
        return {}
    fields: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields
