"""What the command line names, checked: which files make which split, and what a document is in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fairseq_plugin.corpus.documents import cut_by_share, find_documents, looks_like_wikitext
from fairseq_plugin.corpus.manifest import DOCUMENTS, END_TOKENS
from fairseq_plugin.corpus.reading import TextFile, text_files
from fairseq_plugin.corpus.request import Request
from fairseq_plugin.errors import UserError

SPLITS = ("train", "valid", "test")
TENSORS = "{}_tokens_bpe_gpt2.pt"  # as the ScaleGrad and unlikelihood releases name them
FLAGS = {"train": "TRAIN", "valid": "--valid", "test": "--test"}


class Stated(Protocol):
    """A file that was read, and states itself for the manifest."""

    def stated(self) -> dict[str, str | int]: ...


@dataclass
class Inputs:
    """The files of each split.

    Attributes:
        files: of each split; with ``shares``, all under ``"train"``.
        documents: what a document is; see :class:`~fairseq_plugin.corpus.manifest.TextManifest`.
        shares: ``{split: share}`` to cut train by, or None.
        notes: what was chosen or is worth knowing, one line each.
    """

    files: dict[str, list[Path]]
    documents: str
    shares: dict[str, float] | None = None
    notes: list[str] = field(default_factory=list)
    _read: dict[str, list[Stated]] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits asked for."""
        return tuple(self.shares or self.files)

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for paths in self.files.values() for path in paths)

    def stretches(self) -> Iterator[tuple[str, str, bool]]:
        """Yield ``(split, text, new)`` of all text files, read once more; see ``documents.py``."""
        self._read = {split: [] for split in self.files}
        if self.shares is None:
            for split in self.files:
                for text, new in self._documents(split):
                    yield split, text, new
            return
        at_lines = self.documents == "file" and not self._splits_fit_between_files(self.shares)
        yield from cut_by_share(self._documents("train"), self.shares, self.total_bytes, at_lines)

    def _splits_fit_between_files(self, shares: Mapping[str, float]) -> bool:
        """Whether each split begins with a file when train is cut between files only."""
        left, done, limit, total = [*shares.values()], 0, 0.0, self.total_bytes
        for path in self.files["train"]:
            if left and done >= limit:
                limit += left.pop(0) * total
            done += path.stat().st_size
        return not left

    def _documents(self, split: str) -> Iterator[tuple[str, bool]]:
        for path in self.files[split]:
            file = TextFile(path)
            self._read[split].append(file)
            yield from find_documents(file.blocks(), self.documents)

    def stated(self) -> dict[str, Any]:
        """``source`` of the manifest, once everything has been read."""
        return {
            "files": {split: [source.stated() for source in read] for split, read in self._read.items()},
            "split": self.shares,
        }

    def read(self, split: str, source: Stated) -> None:
        """Remember a file that was read other than by :meth:`stretches`; it knows to state itself."""
        self._read.setdefault(split, []).append(source)

    def empty_split(self, split: str) -> str:
        """Why a split has nothing: a sentence for a person."""
        if self.shares is None:
            return f"the {split} split is empty: {FLAGS[split]} {self.files[split][0]} holds no text"
        shares = ",".join(f"{share:g}" for share in self.shares.values())
        what = {"file": "lines"}.get(self.documents, "documents")
        return (
            f"the {split} split is empty: --split {shares} cuts between {what}, and there are too few of "
            "them; give a longer text, other shares, another --documents, or name files by --valid and --test"
        )


def open_inputs(request: Request) -> Inputs:
    """Check what a request names.

    Raises:
        UserError: missing or empty files, or flags that contradict each other.
    """
    paths = {split: getattr(request, split) for split in SPLITS if getattr(request, split) is not None}
    if request.split is not None and len(paths) > 1:
        raise UserError("--split cuts TRAIN into all splits: leave out --valid and --test, or --split")
    tensors = _tensor_files(paths)
    if tensors is not None:
        return _tensor_inputs(request, tensors)
    if request.documents not in ("auto", *DOCUMENTS):
        raise UserError(f"--documents {request.documents}: choose auto, {', '.join(DOCUMENTS)}")
    files: dict[str, list[Path]] = {}
    notes: list[str] = []
    for split, path in paths.items():
        found = text_files(path, FLAGS[split], request.pattern)
        files[split], empty = found.files, found.empty
        if empty:
            notes.append(f"{split}: {len(empty)} empty files left out, the first is {empty[0].name}")
        others = _left_out(Path(path), [*files[split], *empty])
        if others:
            told = f"{len(others)} things besides {request.pattern} left out, the first is {others[0].name}"
            notes.append(f"{split}: {told}")
    documents = request.documents
    if documents == "auto":
        wikitext = looks_like_wikitext(TextFile(files["train"][0]).blocks())
        documents = "wikitext" if wikitext else "file"
        what = 'as in WikiText: from " = Title = " to the next' if wikitext else "whole files"
        notes.append(f"documents: {what} (--documents auto)")
    notes += _same_files(files)
    return Inputs(files, documents, _shares(request.split), notes)


def _left_out(path: Path, taken: list[Path]) -> list[Path]:
    """What of a folder is in none of the files taken."""
    if not path.is_dir():
        return []
    return sorted(
        child
        for child in path.iterdir()
        if not any(child == file or child in file.parents for file in taken) and child.name[0] != "."
    )


def _tensor_files(paths: Mapping[str, str]) -> dict[str, Path] | None:
    """``{split: Path}`` when the paths are token tensors, None when they are text."""
    train = Path(paths["train"])
    if (train / TENSORS.format("train")).is_file():
        if len(paths) > 1:
            raise UserError(
                f"TRAIN {train} is a folder of token tensors of all splits: leave out --valid and --test"
            )
        named = {split: train / TENSORS.format(split) for split in SPLITS}
        return {split: path for split, path in named.items() if path.is_file()}
    kinds = {split: Path(path).suffix == ".pt" for split, path in paths.items()}
    if len(set(kinds.values())) == 2:
        mixed = " and ".join(f"{FLAGS[split]} {path}" for split, path in paths.items())
        raise UserError(
            f"{mixed}: token tensors (.pt) and text cannot be mixed; give one kind for all splits"
        )
    return {split: Path(path) for split, path in paths.items()} if kinds["train"] else None


def _tensor_inputs(request: Request, paths: Mapping[str, Path]) -> Inputs:
    if request.split is not None:
        raise UserError("--split cuts text; token tensors come split: name them by TRAIN, --valid and --test")
    if request.documents != "auto":
        raise UserError(
            f"--documents {request.documents} does not apply to token tensors: their documents end at the "
            "end token (50256); leave it out"
        )
    if request.codec != "gpt2":
        raise UserError(f"--codec {request.codec}: token tensors hold GPT-2's ids; use --codec gpt2")
    for split, path in paths.items():
        if not path.is_file():
            raise UserError(f"{FLAGS[split]} {path}: no such file")
    return Inputs({split: [path] for split, path in paths.items()}, END_TOKENS)


def _shares(fractions: Sequence[float] | None) -> dict[str, float] | None:
    """``{split: share}`` of ``--split``, checked."""
    if fractions is None:
        return None
    shown = ",".join(f"{share:g}" for share in fractions)
    if len(fractions) not in (2, 3) or not all(0 < share < 1 for share in fractions):
        raise UserError(
            f"--split {shown}: give two or three shares between 0 and 1 for train, valid and test, "
            "such as 0.9,0.05,0.05"
        )
    if abs(sum(fractions) - 1) > 1e-6:
        raise UserError(f"--split {shown}: the shares sum to {sum(fractions):g}, not to 1")
    return dict(zip(SPLITS, fractions, strict=False))


def _same_files(files: Mapping[str, Sequence[Path]]) -> Iterator[str]:
    known: dict[Path, str] = {}
    for split, paths in files.items():
        for path in paths:
            other = known.setdefault(path.resolve(), split)
            if other != split:
                yield f"{path.name} is in {other} and in {split}: its figures are not those of new text"
