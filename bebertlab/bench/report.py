"""Results of a benchmark as JSON data, with a description of the machine that they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import torch
from attrs import frozen

from bebertlab.bench.measurement import MissingRow, Row, RowResult
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.profile import StepProfile
from bebertlab.inference.integers import exact_products
from bebertlab.kernels.target import kernel_target, kernels_available
from bebertlab.processors import processor_name, processors

_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")
#: CPU features that decide how fast matrix products are, by their names in Linux
_INSTRUCTIONS = (
    "avx2",
    "avx512f",
    "avx512_vpopcntdq",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
    "sve",
)


@frozen(kw_only=True)
class MachineInfo:
    """Hardware and library versions of a benchmark."""

    processor: str
    cores: int  #: usable by this process
    threads: int  #: of torch
    instructions: tuple[str, ...]
    int8_gemm: bool  #: torch has exact int8 GEMM here, which low-bit inference then uses
    kernels: str  #: the processor that products of bits are compiled for, and how they count
    memory_gibibytes: float | None  #: None: unknown
    torch: str
    transformers: str
    device: str
    gpu: str | None


def machine_info(config: BenchConfig) -> MachineInfo:
    """Describe this machine."""
    cpu = _read_fields(_CPUINFO)
    features = set(cpu.get("flags", cpu.get("Features", "")).split())
    memory = _read_fields(_MEMINFO).get("MemTotal")
    return MachineInfo(
        processor=processor_name(_CPUINFO),
        cores=processors().usable,
        threads=config.threads,
        instructions=tuple(name for name in _INSTRUCTIONS if name in features),
        int8_gemm=exact_products(),
        kernels=kernel_target().description if kernels_available() else "by torch, since llvmlite is not installed",
        memory_gibibytes=None if memory is None else round(int(memory.split()[0]) / 2**20, 1),
        torch=torch.__version__,
        transformers=version("transformers"),
        device=config.device,
        gpu=torch.cuda.get_device_name(config.device) if config.on_gpu else None,
    )


def _read_fields(file: Path) -> dict[str, str]:
    """The first value of each name in lines `name: value`; empty if there is no such file."""
    if not file.is_file():
        return {}
    fields: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def rows_report(results: Sequence[RowResult], machine: MachineInfo) -> dict[str, Any]:
    """Rows with a goal, rows for information, missing rows, and the machine."""
    rows = [result for result in results if isinstance(result, Row)]
    return {
        "rows": [_row(row) for row in rows if row.spec.goal is not None],
        "information": [_row(row) for row in rows if row.spec.goal is None],
        "missing": [
            {"row": result.spec.name, "what": result.spec.description, "reason": result.reason}
            for result in results
            if isinstance(result, MissingRow)
        ],
        "machine": attrs.asdict(machine),
    }


def profile_report(profiles: Sequence[StepProfile], machine: MachineInfo) -> dict[str, Any]:
    """Steps with their parts in milliseconds and as shares, and the machine. Ratios are to the first step."""
    return {"steps": [_profile(profile, profiles[0]) for profile in profiles], "machine": attrs.asdict(machine)}


def _row(row: Row) -> dict[str, Any]:
    return {
        "row": row.spec.name,
        "what": row.spec.description,
        "ratio": row.ratio.median,
        "low": row.ratio.low,
        "high": row.ratio.high,
        "goal": row.spec.goal,
        "better": row.spec.better,
        "met": row.met,
        "note": row.note,
    }


def _profile(profile: StepProfile, reference: StepProfile) -> dict[str, Any]:
    return {
        "what": profile.name,
        "milliseconds": profile.milliseconds,
        "ratio": profile.milliseconds / reference.milliseconds,
        "parts": [
            {"part": str(part), "backward": backward, "milliseconds": share * profile.milliseconds, "share": share}
            for (part, backward), share in sorted(profile.shares.items())
        ],
        "extra_tensors": {name: attrs.asdict(extra) for name, extra in profile.extra_tensors.items()},
    }
