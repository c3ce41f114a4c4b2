"""Merged ensembles in the store: where the models are that vote."""

from __future__ import annotations

from bebertlab.artifacts.merged import MergedEnsemble, read_merged
from bebertlab.artifacts.packed import source_folders
from bebertlab.errors import UserError
from bebertlab.interfaces.stage import Codec
from bebertlab.packed.source import SourceFolders
from bebertlab.store.manifest import Manifest
from bebertlab.store.store import Store


def merged_folders(store: Store, manifest: Manifest, codec: Codec) -> SourceFolders:
    """The folders of the members that vote in the ensemble that a stage merged.

    Raises:
        SetupError: the file of the ensemble is missing.
        UserError: it is damaged, or a member is not in the store.
    """
    ensemble: MergedEnsemble = read_merged(store.folder(manifest.key), codec)
    voters = ensemble.voters
    if missing := [member for member in voters if store.peek(member.key) is None]:
        raise UserError(
            f"member {missing[0].stage} of stage '{manifest.stage}' has the key {missing[0].key[:12]}, which is not in"
            f" {store.root}; run the recipe again to build it"
        )
    return source_folders(ensemble, [store.folder(member.key) for member in voters])
