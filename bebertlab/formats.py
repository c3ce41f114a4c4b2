"""The formats of the files that bebertlab keeps: the one place where their numbers are listed and raised.

A number is raised when files written before would be misread by the new version, or new files by an older one. A file
with another number is either refused with one sentence or built again; it is never read.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from bebertlab.errors import UserError


@frozen(kw_only=True)
class Format:
    """The format of one kind of file."""

    name: str  #: of the kind, e.g. "manifest of an artifact"
    path: str  #: where such a file is: relative to the work folder, a study's folder or a model's folder
    number: int  #: that this version writes, and the only one that it reads
    remedy: str = ""  #: what the user can do about a file with another number; empty: it is built again

    def matches(self, number: object) -> bool:
        """Whether a number that was read is the one of this version."""
        return type(number) is int and number == self.number

    def check(self, number: object, path: Path) -> None:
        """Refuse a file of another format.

        Args:
            number: what the file gives as its format; None where it gives none.
            path: the file, for the message.

        Raises:
            OtherFormat: the number is not the one of this version.
        """
        if not self.matches(number):
            raise OtherFormat(f"{path}: {_writer(number, self.number)}; {self.remedy}")


class OtherFormat(UserError):
    """A file was written by a version of bebertlab that uses another format."""


_ARTIFACT_REMEDY = "read it with the version that wrote it, or delete the stage from the store: it is built again"

STORE_MANIFEST = Format(
    name="manifest of an artifact",
    path="store/<2 digits>/<key>/manifest.json",
    number=3,
    remedy="choose another folder with --work, or delete the store of this one: its stages are built again",
)
STUDY_FOLDER = Format(
    name="folder of a study: study.yaml, copies of plugins, caveats, errors",
    path="studies/<name>-<digest>/study.json",
    number=1,
    remedy="choose another folder with --work, or delete this study's folder: its finished stages are in the store",
)
STUDY_FILE = Format(
    name="study or recipe in YAML",
    path="schema_version of the file",
    number=1,
    remedy="see the changelog for what to change in it",
)
JOURNAL = Format(
    name="trials of a study",
    path="studies/<name>-<digest>/journal.log",
    number=2,
    remedy="move the file away and run the study again: its finished stages are in the store",
)
MEMBER = Format(
    name="result of an ensemble member",
    path="member.json of an artifact",
    number=1,
    remedy=_ARTIFACT_REMEDY,
)
MERGED_ENSEMBLE = Format(
    name="merged ensemble",
    path="members.json of an artifact",
    number=2,
    remedy=_ARTIFACT_REMEDY,
)
LEARNING_CURVE = Format(
    name="learning curve of a training",
    path="learning_curve.json of an artifact",
    number=1,
    remedy=_ARTIFACT_REMEDY,
)
REPORT_MANIFEST = Format(name="what a report was written from", path="studies/<name>-<digest>/report.json", number=3)
MLFLOW_RECEIPT = Format(name="what was written to MLflow", path="studies/<name>-<digest>/mlflow.json", number=2)
MODEL_FOLDER = Format(
    name="quantized model",
    path="bebertlab.json",
    number=1,
    remedy="read it with the version that wrote it, or train or import the model again",
)
PACKED_MODEL = Format(
    name="packed model",
    path="model.safetensors and config.json of a packed model",
    number=1,
    remedy="read it with the version that wrote it, or pack the model again",
)
TOKEN_CACHE = Format(name="tokens of a split", path="store/cache/<key>.safetensors", number=2)
OVERLAP_CACHE = Format(name="overlap of two splits", path="store/cache/<key>.json", number=1)
STAGE_KEY = Format(name="what the key of a stage is the hash of", path="part of every key", number=2)

TRAINING_STATE = Format(name="state of an unfinished training", path="store/states/<key>.safetensors", number=1)

FORMATS = (
    STORE_MANIFEST,
    STUDY_FOLDER,
    JOURNAL,
    MEMBER,
    MERGED_ENSEMBLE,
    LEARNING_CURVE,
    STUDY_FILE,
    REPORT_MANIFEST,
    MLFLOW_RECEIPT,
    MODEL_FOLDER,
    PACKED_MODEL,
    TOKEN_CACHE,
    OVERLAP_CACHE,
    STAGE_KEY,
    TRAINING_STATE,
)


def _writer(number: object, expected: int) -> str:
    """Which version wrote a file.

    >>> _writer(1, 2)
    'written by an older bebertlab (format 1, this version reads 2)'
    >>> _writer(None, 2)
    'written by an older bebertlab (without a format number, this version reads 2)'
    """
    found = "without a format number" if number is None else f"format {number!r:.40}"
    version = "a newer" if type(number) is int and number > expected else "an older"
    return f"written by {version} bebertlab ({found}, this version reads {expected})"
