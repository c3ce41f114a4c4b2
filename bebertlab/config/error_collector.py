"""All errors in what the user wrote, reported together."""

from __future__ import annotations

from bebertlab.config.document import Keys, Place, YamlDocument, show
from bebertlab.errors import UnknownPart, UserError


class ErrorCollector:
    """Collects errors; `raise_all` turns them into one exception, a line for each.

    >>> errors = ErrorCollector()
    >>> errors.add(YamlDocument.of({}, "study.yaml"), ("train", "epochs"), "must be > 0, got -1")
    >>> print(errors)
    study.yaml: train.epochs: must be > 0, got -1
    """

    def __init__(self) -> None:
        self._errors: dict[str, Place] = {}
        self._unknown: dict[str, tuple[str, Place]] = {}  # message to the first path that leads into it
        self._notes: dict[str, None] = {}

    def add(self, document: YamlDocument, path: Keys, what: str, *, key: bool = False) -> None:
        """Add an error of the value at a path of a document; with `key`, of its key."""
        place = document.key_place(path) if key else document.place(path)
        self.add_at(place, show(document.prefix + path), what)

    def add_at(self, place: Place, path: str, what: str) -> None:
        """Add an error at a place; `path` is shown unchanged."""
        self._errors.setdefault(": ".join(part for part in (str(place), path, what) if part), place)

    def add_error(self, error: UserError, place: Place | None = None) -> None:
        """Add an error whose message names its place.

        Paths into an unknown part are reported once, and not at all if the part itself has an error.
        """
        if isinstance(error, UnknownPart):
            self._unknown.setdefault(error.what, (str(error), place or Place(origin="")))
        else:
            self._errors.setdefault(str(error), place or Place(origin=""))

    def note(self, text: str) -> None:
        """Add a line below all errors, once."""
        self._notes.setdefault(text)

    def extend(self, other: ErrorCollector, *, once: bool = False) -> None:
        """Add the errors of another collection; with `once`, without those at a place that has an error already."""
        known = set(self._errors.values()) if once else set()
        for text, place in other._errors.items():
            if place not in known:
                self._errors.setdefault(text, place)
        for what, path in other._unknown.items():
            self._unknown.setdefault(what, path)
        self._notes.update(other._notes)

    def __bool__(self) -> bool:
        return bool(self._errors or self._unknown)

    def __len__(self) -> int:
        return len(self._errors) + len(self._unknown)

    def __str__(self) -> str:
        paths = (path for what, path in self._unknown.items() if not any(what in text for text in self._errors))
        places = {**self._errors, **dict(paths)}
        files = [place.origin for place in places.values() if place.line]

        def order(text: str) -> tuple[int, int, int]:
            """Errors outside files first, in the order in which they were added; then file by file, line by line."""
            place = places[text]
            return (files.index(place.origin) if place.line else -1, place.line, place.column)

        return "\n".join([*sorted(places, key=order), *self._notes])

    def raise_all(self) -> None:
        """Raise the collected errors, if there are any.

        Raises:
            UserError: all errors, one per line.
        """
        if self:
            raise UserError(str(self))
