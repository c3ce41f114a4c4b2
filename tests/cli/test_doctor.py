from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bebertlab.cli.health import installation, machine, services
from bebertlab.cli.health.finding import Finding, Mark
from bebertlab.cli.main import main

CHECKS = {
    installation: ("python", "packages", "plugins", "data"),
    machine: ("processor", "graphics", "memory", "disk"),
    services: ("ray", "tracking", "hub"),
}


@pytest.fixture(autouse=True)
def _well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check finds that all is well."""
    for module, names in CHECKS.items():
        for name in names:
            finding = Finding(name, Mark.OK, f"{name} is fine")
            monkeypatch.setattr(module, name, lambda *arguments, finding=finding: [finding])


def _doctor(tmp_path: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--work", str(tmp_path), *words])


def test_all_well_ends_with_0(tmp_path: Path) -> None:
    result = _doctor(tmp_path)
    assert result.exit_code == 0
    assert "ok  python     python is fine" in result.stdout.splitlines()
    assert "ray is fine" in result.stdout
    assert "hub" not in result.stdout
    assert "What to do" not in result.stdout
    assert result.stderr == ""


def test_the_hub_is_asked_only_when_asked_for_and_ray_started_unless_quick(tmp_path: Path) -> None:
    result = _doctor(tmp_path, "--online", "--quick")
    assert "hub is fine" in result.stdout
    assert "ray is fine" not in result.stdout


def test_a_warning_ends_with_0_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: [Finding("memory", Mark.WARN, "1 GiB", "--jobs 1 takes less")])
    result = _doctor(tmp_path)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["What to do:", "  memory: --jobs 1 takes less"]


def test_a_failure_ends_with_3_and_the_other_checks_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Finding]:
        raise OSError("no such thing")

    monkeypatch.setattr(installation, "python", broken)
    result = _doctor(tmp_path)
    assert result.exit_code == 3
    assert "fail  python" in result.stdout
    assert "ray is fine" in result.stdout
    assert result.stderr == "1 of 10 checks failed\n"


def test_json_holds_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "tracking", lambda work: [Finding("mlflow", Mark.FAIL, f"{work}", "move it")])
    result = _doctor(tmp_path, "--format", "json")
    told = json.loads(result.stdout)
    assert result.exit_code == 3
    assert told["healthy"] is False
    assert {"what": "mlflow", "mark": "fail", "found": str(tmp_path), "hint": "move it"} in told["findings"]
    assert len(told["findings"]) == 10
