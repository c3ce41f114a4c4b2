"""All faults of what the user wrote, told together."""

from __future__ import annotations

from bebertlab.config.document import Keys, Place, YamlDocument, show
from bebertlab.errors import UnknownPart, UserError


class ErrorCollector:
    """Collects faults; `raise_all` turns them into one error, a line for each.

    >>> faults = ErrorCollector()
    >>> faults.add(YamlDocument.of({}, "study.yaml"), ("train", "epochs"), "must be > 0, is -1")
    >>> print(faults)
    study.yaml: train.epochs: must be > 0, is -1
    """

    def __init__(self) -> None:
        self._faults: dict[str, Place] = {}
        self._unknown: dict[str, tuple[str, Place]] = {}  # what is wrong to the first path that leads into it
        self._notes: dict[str, None] = {}

    def add(self, document: YamlDocument, path: Keys, what: str, *, key: bool = False) -> None:
        """Note a fault of the value at a path of a document; `key`: of its key."""
        place = document.key_place(path) if key else document.place(path)
        self.add_at(place, show(document.prefix + path), what)

    def add_at(self, place: Place, path: str, what: str) -> None:
        """Note a fault at a place; `path` is shown as it is."""
        self._faults.setdefault(": ".join(part for part in (str(place), path, what) if part), place)

    def add_error(self, error: UserError, place: Place | None = None) -> None:
        """Note a fault that already says where it is.

        Paths into an unknown part are told once, and not at all where the part itself is a fault.
        """
        if isinstance(error, UnknownPart):
            self._unknown.setdefault(error.what, (str(error), place or Place(origin="")))
        else:
            self._faults.setdefault(str(error), place or Place(origin=""))

    def note(self, text: str) -> None:
        """Add a line below all faults, once."""
        self._notes.setdefault(text)

    def extend(self, other: ErrorCollector, *, once: bool = False) -> None:
        """Note the faults of another collection; `once`: without those at a place that has a fault already."""
        known = set(self._faults.values()) if once else set()
        for text, place in other._faults.items():
            if place not in known:
                self._faults.setdefault(text, place)
        for what, path in other._unknown.items():
            self._unknown.setdefault(what, path)
        self._notes.update(other._notes)

    def __bool__(self) -> bool:
        return bool(self._faults or self._unknown)

    def __len__(self) -> int:
        return len(self._faults) + len(self._unknown)

    def __str__(self) -> str:
        paths = (path for what, path in self._unknown.items() if not any(what in text for text in self._faults))
        told = {**self._faults, **dict(paths)}
        files = [place.origin for place in told.values() if place.line]

        def order(text: str) -> tuple[int, int, int]:
            """What has no line first, as it came; then file by file, each in its own order."""
            place = told[text]
            return (files.index(place.origin) if place.line else -1, place.line, place.column)

        return "\n".join([*sorted(told, key=order), *self._notes])

    def raise_all(self) -> None:
        """Raise what was collected, if anything was.

        Raises:
            UserError: all faults, one a line.
        """
        if self:
            raise UserError(str(self))
