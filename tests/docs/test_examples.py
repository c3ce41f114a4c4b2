"""The example plugins of the documentation keep the contracts of their roles, and take part in a study."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bebertlab.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_quantizer_takes_part_in_a_study(tmp_path: Path) -> None:
    plugin = ["-p", str(ROOT / "docs/examples/my_quantizer.py")]
    study = ["study", "run", str(ROOT / "studies/weights.yaml"), "--work", str(tmp_path / "work")]
    choices = "search.student.scheme.weights=[bwn, power_sign]"
    small = ["--executor", "local", "--no-tracking", "--smoke", "--set", "task.size=64"]
    result = CliRunner().invoke(main, [*plugin, *study, "--set", choices, *small])
    assert result.exit_code == 0, result.output
    assert "power_sign" in result.stdout
