"""The README's plugin is what it says: 25 lines, lawful, and in a study with one option of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bebertlab.cli.main import main
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.registry.manager import load_plugins
from bebertlab.testing import check_quantizer

ROOT = Path(__file__).parents[1]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """The file of the README, to the letter."""
    (text,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "my_quantizer.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_it_has_at_most_25_lines(plugin: Path) -> None:
    assert len(plugin.read_text(encoding="utf-8").splitlines()) <= 25


def test_it_keeps_the_laws_of_a_quantizer(plugin: Path) -> None:
    options = load_plugins([plugin]).registry.find("quantizer", "power_sign")()
    assert isinstance(options, QuantizerOptions)
    check_quantizer(options)


@pytest.mark.slow
def test_it_takes_part_in_a_study(plugin: Path, tmp_path: Path) -> None:
    command = ["-p", str(plugin), "study", "run", str(ROOT / "studies/weights.yaml"), "--work", str(tmp_path / "work")]
    choices = "search.student.scheme.weights=[bwn, power_sign]"
    small = ["--executor", "local", "--no-tracking", "--smoke", "--set", "task.size=64"]
    result = CliRunner().invoke(main, [*command, "--set", choices, *small])
    assert result.exit_code == 0, result.output
    assert "power_sign" in result.stdout
