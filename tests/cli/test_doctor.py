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
    """Every check passes."""
    for module, names in CHECKS.items():
        for name in names:
            finding = Finding(name, Mark.OK, f"{name} is fine")
            monkeypatch.setattr(module, name, lambda *arguments, finding=finding: [finding])


def _doctor(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--work", str(tmp_path), *arguments])


def test_passing_checks_exit_with_0(tmp_path: Path) -> None:
    result = _doctor(tmp_path)
    assert result.exit_code == 0
    assert "ok  python     python is fine" in result.stdout.splitlines()
    assert "ray is fine" in result.stdout
    assert "hub" not in result.stdout
    assert "What to do" not in result.stdout
    assert result.stderr == ""


def test_the_hub_is_queried_on_request_and_ray_started_unless_quick(tmp_path: Path) -> None:
    result = _doctor(tmp_path, "--online", "--quick")
    assert "hub is fine" in result.stdout
    assert "ray is fine" not in result.stdout


def test_a_warning_exits_with_0_and_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: [Finding("memory", Mark.WARN, "1 GiB", "--jobs 1 takes less")])
    result = _doctor(tmp_path)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["What to do:", "  memory: --jobs 1 takes less"]


def test_a_failure_exits_with_3_and_the_other_checks_still_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Finding]:
        raise OSError("no such thing")

    monkeypatch.setattr(installation, "python", broken)
    result = _doctor(tmp_path)
    assert result.exit_code == 3
    assert "fail  python" in result.stdout
    assert "ray is fine" in result.stdout
    assert result.stderr == "1 of 11 checks failed\n"


def test_json_output_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "tracking", lambda work: [Finding("mlflow", Mark.FAIL, f"{work}", "move it")])
    result = _doctor(tmp_path, "--format", "json")
    notified = json.loads(result.stdout)
    assert result.exit_code == 3
    assert notified["healthy"] is False
    assert {"what": "mlflow", "mark": "fail", "found": str(tmp_path), "hint": "move it"} in notified["findings"]
    assert len(notified["findings"]) == 11
