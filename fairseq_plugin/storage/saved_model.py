"""A trained model in a folder whose every file has its digest.

saved/
  NAME.json          what its user calls things, and the SHA-256 of the other files; sealed
  checkpoint.pt      as fairseq-train wrote it; read without unpickling objects
  data/              the prepared data: fairseq's commands read the folder, too
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.storage.folders import Place, whole_folder
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.storage.sealed import read_sealed, write_sealed

DATA, CHECKPOINT = "data", "checkpoint.pt"


@dataclass(frozen=True)
class SavedKind:
    """What such a folder holds.

    Args:
        what: the class's name; in small letters it names the sealed file and its format.
        version: of the sealed file's content.
    """

    what: str
    version: int = 1

    @property
    def file_name(self) -> str:
        return f"{self.what.lower()}.json"

    @property
    def _stated(self) -> dict[str, object]:
        return {"format": self.what.lower(), "version": self.version}

    def save(
        self,
        path: str | Path,
        content: Mapping[str, object],
        data: Path,
        data_files: Iterable[str],
        checkpoint: Path,
        overwrite: bool = False,
    ) -> None:
        """Write the folder; it appears whole or not at all.

        Args:
            path: of the folder.
            content: of the sealed file.
            data: the prepared folder.
            data_files: names of its files, the manifest left out.
            checkpoint: the model.
            overwrite: replace such a folder.

        Raises:
            UserError: something is there that must not be replaced, or it cannot be written.
        """
        place = Place.look(path, "path")
        if place.seen is not None and not (place.path / self.file_name).is_file():
            raise UserError(
                f"{path} exists and holds other things than a saved {self.what}; name another folder"
            )
        if place.seen is not None and not overwrite:
            raise UserError(f"{path} exists; give overwrite=True to replace it, or name another folder")
        with whole_folder(place) as folder:
            (folder / DATA).mkdir()
            for name in [*data_files, MANIFEST]:
                shutil.copyfile(data / name, folder / DATA / name)
            shutil.copyfile(checkpoint, folder / CHECKPOINT)
            files = self._digests(folder)
            write_sealed(folder / self.file_name, {**self._stated, **content, "files": files})

    def load(self, path: Path) -> dict[str, Any]:
        """The content of the sealed file of a folder that is as it was saved.

        Raises:
            UserError: not such a folder, or a file of it is not the one that was saved.
        """
        content = self._read(path)
        if content["files"] != (found := self._digests(path)):
            differing = {*content["files"].items()} ^ {*found.items()}
            names = ", ".join(sorted({name for name, _ in differing})[:3])
            raise UserError(f"{path} is damaged, or not as it was saved: {names}; restore it, or save again")
        return content

    def _digests(self, folder: Path) -> dict[str, str]:
        """SHA-256 of every file but the sealed one, by its name in the folder."""
        sealed = folder / self.file_name
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != sealed)
        return {path.relative_to(folder).as_posix(): sha256(path) for path in paths}

    def _read(self, path: Path) -> dict[str, Any]:
        name = self.file_name
        try:
            content = read_sealed(path / name)
        except OSError as error:
            raise UserError(
                f"{path} is no saved {self.what}: {name} cannot be read ({error.strerror})"
            ) from error
        if content is None:
            raise UserError(f"{path / name} is damaged: its digest is not its own; restore it, or save again")
        if {key: content.get(key) for key in self._stated} != self._stated:
            version = ", ".join(map(repr, self._stated.values()))
            raise UserError(f"{path / name} is not of this version ({version}); save again")
        return content
