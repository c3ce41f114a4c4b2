from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.config.plugin_codec import plugin_codec
from bebertlab.errors import UserError

PLUGIN = Path(__file__).parents[2] / "docs/examples/windowed_sign.py"


def test_files_add_their_kinds_to_the_installed_ones() -> None:
    installed, more = (plugin_codec(files).registry.kinds("quantizer") for files in ((), [PLUGIN]))
    assert "bwn" in installed
    assert {*more} - {*installed} == {"windowed_sign"}


def test_one_file_instead_of_several_is_refused() -> None:
    with pytest.raises(UserError, match=r"plugins is 'q\.py'; expected a list of files, even for one"):
        plugin_codec("q.py")


def test_a_file_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.py"):
        plugin_codec([tmp_path / "none.py"])
