"""The processor cores that this process may use, given its affinity and the quota of its container."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

_CPUINFO = Path("/proc/cpuinfo")
_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


@frozen(kw_only=True)
class Processors:
    """The processor cores that a process may use."""

    cores: int  #: that the process may run on
    quota: float | None  #: processor seconds per second that its control group allows; None: no limit

    @property
    def usable(self) -> int:
        """The number of cores to use, at least 1."""
        return self.cores if self.quota is None else max(1, min(self.cores, math.ceil(self.quota)))

    def describe(self) -> str:
        """The cores as text.

        >>> Processors(cores=4, quota=0.5).describe()
        '0.5 of 4 cores (limit of the container)'
        """
        if self.quota is None or self.quota >= self.cores:
            return f"{self.cores} core{'' if self.cores == 1 else 's'}"
        return f"{self.quota:g} of {self.cores} core{'' if self.cores == 1 else 's'} (limit of the container)"


def processors(own: Path = _OWN, groups: Path = _GROUPS) -> Processors:
    """The processor cores of this process.

    Args:
        own: the file in which Linux lists the control groups of this process.
        groups: the folder in which Linux describes all control groups.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Processors(cores=cores, quota=min(_quotas(own, groups), default=None))


def processor_name(cpuinfo: Path = _CPUINFO) -> str:
    """The model of the processor, as Linux names it in a file; elsewhere what Python knows of it."""
    for line in _lines(cpuinfo):
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def group_folders(controller: str, own: Path = _OWN, groups: Path = _GROUPS) -> Iterator[Path]:
    """The folders of this process's control group for a controller (`cpu`, `memory`), and of all its parents.

    Covers both versions of control groups; inside a container the innermost group may be mounted as the root.
    """
    for line in _lines(own):
        _, _, named = line.partition(":")
        controllers, _, path = named.partition(":")
        if controllers == "":
            roots = [groups, groups / "unified"]
        elif controller in controllers.split(","):
            roots = [groups / controllers, groups / controller]
        else:
            continue
        parts = [part for part in path.strip().split("/") if part and part != ".."]
        for root in roots:
            yield from (root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))


def _quotas(own: Path, groups: Path) -> Iterator[float]:
    """Every limit on this process, in processor seconds per second."""
    for folder in group_folders("cpu", own, groups):
        fields = [*_fields(folder / "cpu.max"), *_fields(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")]
        if len(fields) >= 2 and fields[0].isdecimal() and fields[1].isdecimal() and int(fields[1]):
            yield int(fields[0]) / int(fields[1])


def _fields(*paths: Path) -> list[str]:
    return [field for path in paths for line in _lines(path) for field in line.split()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
