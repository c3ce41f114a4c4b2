"""Checks of the machine: processor, GPUs, memory, disk."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

from bebertlab.cli.health.finding import Finding, Mark
from bebertlab.config.humanize import format_size
from bebertlab.kernels.cache import KernelCache, cache_folder
from bebertlab.kernels.target import kernel_target, kernels_available
from bebertlab.processors import group_folders, processors
from bebertlab.store.disk import existing_parent

_GIBIBYTE = 2**30
#: upper bounds for the default study
_MEMORY_BYTES = 4 * _GIBIBYTE
_DISK_BYTES = 2 * _GIBIBYTE
#: instructions that speed up matrix products, by their names in Linux
_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_vpopcntdq", "amx_bf16", "amx_int8")
_ARM_INSTRUCTIONS = ("asimd", "asimddp", "bf16", "i8mm", "sve")


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Iterable[Finding]:
    """Cores, torch's threads, and instructions for matrix products."""
    import torch

    cores = processors()
    threads = torch.get_num_threads()
    text = f"{cores.describe()}, torch uses {threads} threads ({torch.backends.cpu.get_cpu_capability()})"
    if threads > cores.usable:
        yield Finding("processor", Mark.WARN, text, f"more threads than cores; set OMP_NUM_THREADS={cores.usable}")
    else:
        yield Finding("processor", Mark.OK, text)
    yield Finding("instructions", Mark.OK, ", ".join(_flags(cpuinfo)) or "unknown")


def kernels() -> Iterable[Finding]:
    """What packed models are computed with, and whether compiled code is kept."""
    if not kernels_available():
        yield Finding(
            "kernels", Mark.OK, "packed models are computed by torch; pip install 'bebertlab[fast]' is faster"
        )
        return
    cache = KernelCache(cache_folder())
    if problem := cache.problem():
        hint = "every process compiles its code anew; own the folder, and let nobody else write to it (chmod go-w)"
        yield Finding("kernels", Mark.WARN, problem, hint)
    else:
        yield Finding("kernels", Mark.OK, f"{kernel_target().description}; kept in {cache.folder}")


def graphics() -> Iterable[Finding]:
    """The GPUs that torch sees."""
    import torch

    from bebertlab.study.devices import machine_gpu

    with warnings.catch_warnings(record=True) as caught:  # torch warns about an old driver
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if caught:
        yield Finding("gpu", Mark.WARN, str(caught[0].message).splitlines()[0], "studies run on the CPU")
    elif not count:
        yield Finding("gpu", Mark.OK, "none; studies run on the CPU")
    for number in range(count):
        properties = torch.cuda.get_device_properties(number)
        text = f"{properties.name}, {format_size(properties.total_memory)}"
        on_machine = machine_gpu(number, os.environ)
        text += "" if on_machine == str(number) else f", GPU {on_machine} of the machine"
        yield Finding(f"gpu {number}", Mark.OK, f"{text}; --device cuda:{number} uses it")


def memory(
    meminfo: Path = Path("/proc/meminfo"),
    own: Path = Path("/proc/self/cgroup"),
    groups: Path = Path("/sys/fs/cgroup"),
) -> Iterable[Finding]:
    """The free memory, within the limit of a container."""
    free = _free_memory(meminfo, group_folders("memory", own, groups))
    if free is None:
        yield Finding("memory", Mark.OK, "unknown")
    elif free < _MEMORY_BYTES:
        hint = f"the default study needs up to {format_size(_MEMORY_BYTES)}; --jobs 1 needs less"
        yield Finding("memory", Mark.WARN, f"{format_size(free)} free", hint)
    else:
        yield Finding("memory", Mark.OK, f"{format_size(free)} free")


def disk(work: Path) -> Iterable[Finding]:
    """Whether the work folder and the temporary folder can be written, and their free space."""
    for what, folder in (("work folder", work), ("temporary folder", Path(tempfile.gettempdir()))):
        parent = existing_parent(folder.resolve())
        free = shutil.disk_usage(parent).free
        text = f"{folder}: {format_size(free)} free"
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            yield Finding(what, Mark.FAIL, f"{parent} cannot be written", "choose another folder with --work or TMPDIR")
        elif free < _DISK_BYTES:
            hint = f"free at least {format_size(_DISK_BYTES)}, e.g. with `bebertlab store gc`"
            yield Finding(what, Mark.WARN, text, hint)
        else:
            yield Finding(what, Mark.OK, text)


def _flags(cpuinfo: Path) -> list[str]:
    if not cpuinfo.is_file():
        return [platform.machine()]
    known: set[str] = set()
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            known = set(value.split())
            break
    return [flag for flag in (*_INSTRUCTIONS, *_ARM_INSTRUCTIONS) if flag in known]


def _free_memory(meminfo: Path, folders: Iterable[Path]) -> int | None:
    if not meminfo.is_file():
        return None
    fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
    free = int(fields["MemAvailable"].split()[0]) * 1024
    for folder in folders:
        for names in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            limit, used = (folder / name for name in names)
            if limit.is_file() and used.is_file() and (maximum := limit.read_text(encoding="ascii").strip()) != "max":
                free = min(free, int(maximum) - int(used.read_text(encoding="ascii")))
    return max(0, free)
