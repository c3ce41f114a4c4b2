"""ErrorCollector of studies that others must not hide: of an item beside them, and of the small version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bebertlab.errors import UserError

if TYPE_CHECKING:
    from tests.study.conftest import Files


def faults(files: Files, *sets: str) -> list[str]:
    """The faults, without the name of the folder."""
    with pytest.raises(UserError) as error:
        files.read(*sets)
    return str(error.value).replace(f"{files.folder}/", "").splitlines()


def test_one_faulty_item_hides_no_fault_of_the_others(files: Files) -> None:
    head = files.text[: files.text.index("exclude:")]
    files.path.write_text(
        head
        + """\
exclude:
  - single
  - {members.ensemble: singel}
questions:
  - {compare: members.size}
  - {text: a, compare: members.size, cost: membrs}
"""
    )
    assert [fault[: len("study.yaml:17:24: ") + 20] for fault in faults(files)] == [
        "study.yaml:16:5: exclude.0: expected a",
        "study.yaml:17:24: exclude.1.members.en",
        "study.yaml:19:5: questions.0: text is ",
        "study.yaml:20:44: questions.1.cost: th",
    ]


def test_the_small_version_is_checked_with_the_study(files: Files) -> None:
    files.write(smoke="smoke: {sedes: [0], trunk.size: 1.5, threads: 0}")
    small = [
        "study.yaml:21:16: sedes: 'sedes' is no key and no stage of the recipe; did you mean 'seed'? (known: ",
        "study.yaml:21:33: recipe.stages.trunk.size: expected an integer, got 1.5",
        "study.yaml:21:47: threads: must be >= 1, got 0",
    ]
    found = sorted(faults(files))
    assert len(found) == len(small)
    assert all(fault.startswith(start) for fault, start in zip(found, small, strict=True)), found
    files.read("members.size=1")  # it need not fit to every --set


def test_smoke_is_among_the_known_keys(files: Files) -> None:
    files.write(smoke="smok: {seeds: [0]}")
    assert faults(files)[0].startswith("study.yaml:21:1: smok: unknown key; did you mean 'smoke'? (known: ")


@pytest.mark.parametrize("sets", [(), ("score.rate=2", "score.sleep=1")])
def test_an_unknown_part_is_one_fault_whatever_leads_into_it(files: Files, sets: tuple[str, ...]) -> None:
    files.text = files.text.replace("score: {kind: fake,", "score: {kind: fak,")
    files.text = files.text.replace(
        "\nexclude:", "\n  score.rate: {choice: [1, 2]}\n  score.size: {choice: [1, 2]}\nexclude:"
    )
    files.write(smoke="smoke: {score.rate: 2, score.sleep: 1}")
    (fault,) = faults(files, *sets)
    assert fault.startswith("study.yaml:11:19: recipe.stages.score.kind: unknown stage 'fak'; did you mean 'fake'?")
