from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import transformers

import bebertlab.hub
from bebertlab.errors import SetupError

WITHOUT_IMPORT = """
import sys
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification
for loader in (AutoModelForSequenceClassification, BertForSequenceClassification):
    for folder in sys.argv[1:]:
        try:
            loader.from_pretrained(folder)
        except ValueError as error:
            print(error)
        else:
            print("loaded")
"""


@pytest.mark.slow
def test_without_the_import_transformers_fails_and_names_the_package(templates: Path) -> None:
    folders = [str(templates / kind) for kind in ("single", "logits")]
    command = [sys.executable, "-c", WITHOUT_IMPORT, *folders]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert "loaded" not in output
    assert output.count("model type `bebertlab-bert`") == len(folders)
    assert output.count("packed weights; import bebertlab.hub") == len(folders)


def test_registering_again_changes_nothing(single: Path) -> None:
    bebertlab.hub.register()
    first = type(transformers.AutoConfig.from_pretrained(single))
    bebertlab.hub.register()
    assert type(transformers.AutoConfig.from_pretrained(single)) is first


def test_a_version_of_transformers_with_another_interface_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("transformers.AutoConfig.register")
    message = rf"^bebertlab\.hub does not work with transformers {transformers.__version__} .*register.*>=5\.20,<6$"
    with pytest.raises(SetupError, match=message):
        bebertlab.hub.register()
