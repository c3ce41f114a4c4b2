from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from bebertlab.processors import Processors, group_folders, processor_name, processors


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("own_groups", "files", "quota"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n"}, 0.5),
        # a limit of a group around it holds, too
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5),
        # a container that sees its group as the root
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/../../docker/1\n", {"cpu.max": "200000 100000\n"}, 2.0),
        (
            "3:memory:/x\n2:cpu,cpuacct:/a\n0::/\n",
            {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        ("2:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("0::/a\n", {"a/cpu.max": "nonsense\n"}, None),
        ("", {}, None),
    ],
)
def test_the_quota_of_the_control_group_limits_the_cores(
    tmp_path: Path, groups: Path, own_groups: str, files: dict[str, str], quota: float | None
) -> None:
    for name, text in files.items():
        _write(groups / name, text)
    assert processors(_write(tmp_path / "own", own_groups), groups).quota == quota


def test_without_control_groups_all_cores_are_available(tmp_path: Path) -> None:
    here = processors(tmp_path / "absent", tmp_path / "absent")
    assert here == Processors(cores=len(os.sched_getaffinity(0)), quota=None)


@pytest.mark.parametrize(
    ("cores", "quota", "usable", "text"),
    [
        (64, 2.0, 2, "2 of 64 cores (limit of the container)"),
        (4, 0.5, 1, "0.5 of 4 cores (limit of the container)"),
        (4, 2.5, 3, "2.5 of 4 cores (limit of the container)"),
        (2, 8.0, 2, "2 cores"),
        (1, None, 1, "1 core"),
    ],
)
def test_a_quota_is_rounded_up_to_whole_cores(cores: int, quota: float | None, usable: int, text: str) -> None:
    here = Processors(cores=cores, quota=quota)
    assert (here.usable, here.describe()) == (usable, text)


def test_groups_of_other_controllers_are_ignored(tmp_path: Path, groups: Path) -> None:
    own_groups = _write(tmp_path / "own", "4:memory:/m\n3:cpu:/c\n")
    assert next(iter(group_folders("memory", own_groups, groups))) == groups / "memory" / "m"
    assert groups / "cpu" / "c" not in list(group_folders("memory", own_groups, groups))


def test_the_processor_is_named_by_the_system(tmp_path: Path) -> None:
    file = _write(tmp_path / "cpuinfo", "processor\t: 0\nmodel\t\t: 17\nmodel name\t: EPYC 9R14\nmodel name\t: B\n")
    assert processor_name(file) == "EPYC 9R14"
    for other in (tmp_path / "absent", _write(tmp_path / "arm", "processor : 0\nFeatures : asimd\n")):
        assert processor_name(other) == (platform.processor() or platform.machine())
