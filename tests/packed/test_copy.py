from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import SetupError, UserError
from bebertlab.model.folder import TENSORS
from bebertlab.packed.contract import CARD
from bebertlab.packed.copy import copy_packed
from bebertlab.packed.read import read_packed


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_copy_is_the_same_model_with_a_card_for_its_folder(packed: Path, tmp_path: Path, codec: OptionsCodec) -> None:
    (packed / "notes.txt").write_text("not of the model")
    file = copy_packed(packed, tmp_path / "deep" / "copy", codec)
    before, after = contents(packed), contents(tmp_path / "deep" / "copy")
    assert before.keys() - after.keys() == {"notes.txt"}
    assert [name for name in after if after[name] != before[name]] == [CARD]
    assert after[CARD] == before[CARD].replace(b"packed", b"copy")
    assert file.file_bytes == len(after[TENSORS])
    assert read_packed(tmp_path / "deep" / "copy", codec).parts == file.parts


def test_a_packed_model_that_is_there_is_replaced_by_force_only(
    packed: Path, ensemble: Path, codec: OptionsCodec
) -> None:
    with pytest.raises(UserError, match="is not empty"):
        copy_packed(packed, ensemble, codec)
    assert len(read_packed(ensemble, codec).members) == 2
    copy_packed(packed, ensemble, codec, force=True)
    assert len(read_packed(ensemble, codec).members) == 1


def test_a_damaged_or_missing_source_leaves_nothing(packed: Path, tmp_path: Path, codec: OptionsCodec) -> None:
    content = (packed / TENSORS).read_bytes()
    (packed / TENSORS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"model\.safetensors"):
        copy_packed(packed, tmp_path / "copy", codec)
    with pytest.raises(SetupError, match="no such folder"):
        copy_packed(tmp_path / "absent", tmp_path / "copy", codec)
    assert not (tmp_path / "copy").exists()
