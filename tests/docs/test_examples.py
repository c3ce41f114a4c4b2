"""The example plugins of the documentation keep the contracts of their roles and run in a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.stats import qmc

from bebertlab.api import Options, SearchDimension, SearchSpace
from bebertlab.cli.main import main
from bebertlab.registry.manager import load_plugins
from bebertlab.testing import check_quantizer, check_sampler

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"


def example(name: str, role: str, kind: str) -> type[Options]:
    plugins = load_plugins([EXAMPLES / name])
    assert not plugins.failures
    return plugins.registry.find(role, kind)


def test_the_quantizer_with_capabilities_keeps_their_rules() -> None:
    options = example("windowed_sign.py", "quantizer", "windowed_sign")()
    check_quantizer(options)  # type: ignore[arg-type] # of a class that is looked up


def test_the_window_of_the_gradient_narrows() -> None:
    options = example("windowed_sign.py", "quantizer", "windowed_sign")
    quantizer = options(scale=0.5, first=1.0, last=0.25).build(torch.Size([3]))  # type: ignore[call-arg,attr-defined]
    for fraction, gradient in ((0.0, [0.5, 0.5, 0.0]), (0.999, [0.5, 0.0, 0.0])):
        x = torch.tensor([0.2, -0.8, 1.5], requires_grad=True)
        quantizer.progress(fraction)
        quantizer(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == gradient


def test_the_sampler_draws_a_shifted_halton_sequence() -> None:
    options = example("halton_sampler.py", "sampler", "halton")(trials=64)  # type: ignore[call-arg]
    check_sampler(options)  # type: ignore[arg-type]
    space = SearchSpace(dimensions={name: SearchDimension(uniform=(0.0, 1.0)) for name in "abc"})
    sampler = options.build(space)  # type: ignore[attr-defined]
    points = np.array([list(sampler.ask(index, 0, ()).values()) for index in range(64)])
    shift = [options.random_seed(number, 0) / 2**32 for number in range(3)]  # type: ignore[attr-defined]
    expected = (qmc.Halton(3, scramble=False).random(65)[1:] + shift) % 1
    assert points == pytest.approx(expected)


@pytest.mark.slow
def test_the_quantizer_runs_in_a_study(tmp_path: Path) -> None:
    plugin = ["-p", str(EXAMPLES / "my_quantizer.py")]
    study = ["study", "run", str(ROOT / "studies/weights.yaml"), "--work", str(tmp_path / "work")]
    choices = "search.student.scheme.weights=[bwn, power_sign]"
    small = ["--executor", "local", "--no-tracking", "--smoke", "--set", "task.size=64"]
    result = CliRunner().invoke(main, [*plugin, *study, "--set", choices, *small])
    assert result.exit_code == 0, result.output
    assert "power_sign" in result.stdout
