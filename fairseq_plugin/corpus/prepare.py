"""From text files, or the token tensors of a release, to a folder that fairseq's commands read.

    read -> documents -> splits -> tokenizer -> encode -> write -> rename

Everything but the tokenizer's training is one pass in bounded memory, however long the text.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from fairseq_plugin.corpus.encode import Encoded, encode_in_order, make_jobs
from fairseq_plugin.corpus.inputs import Inputs, open_inputs
from fairseq_plugin.corpus.manifest import END_TOKENS, TextManifest
from fairseq_plugin.corpus.request import Request
from fairseq_plugin.corpus.tokenizer import make_codec
from fairseq_plugin.corpus.writing import SplitWriter
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.storage.dictionary import NUM_SPECIALS, dictionary_ids, index_of_id, write_dictionary
from fairseq_plugin.storage.folders import Place, check_place, occupied, publish_prepared
from fairseq_plugin.storage.manifest import NAME
from fairseq_plugin.text.codec import Codec


@dataclass
class Prepared:
    """What :func:`prepare` did.

    Attributes:
        manifest: the folder's manifest.
        notes: what was chosen or is worth knowing, one line each.
        unchanged: the same folder was there already, byte for byte.
    """

    manifest: TextManifest
    notes: list[str]
    unchanged: bool = False


def prepare(request: Request) -> Prepared:
    """Prepare a folder; see the module.

    Raises:
        UserError: anything in the input that the user can mend. Nothing is written then.
    """
    place = check_place(request.to, NAME)
    inputs = open_inputs(request)
    _check_unchanged(request, inputs, place)
    codec, notes = make_codec(request, inputs)
    manifests: list[TextManifest] = []
    unchanged = publish_prepared(
        place, request.overwrite, lambda building: manifests.append(_fill(building, request, inputs, codec))
    )
    (manifest,) = manifests
    return Prepared(manifest, [*inputs.notes, *notes, *_without_valid(manifest)], unchanged)


def _fill(building: Path, request: Request, inputs: Inputs, codec: Codec) -> TextManifest:
    """Encode everything into a folder; the manifest that was written."""
    indices = index_of_id(codec)
    num_symbols = NUM_SPECIALS + len(dictionary_ids(codec))
    if inputs.documents == END_TOKENS:
        from fairseq_plugin.corpus.tensors import read_tensors  # torch: seconds, for this kind of file only

        encoded = read_tensors(inputs, codec, indices)
    else:
        jobs = make_jobs(inputs.stretches(), codec.cut_before)
        encoded = encode_in_order(jobs, codec, indices, request.workers)
    writers = _write_splits(building, encoded, num_symbols, inputs)
    _check_splits(writers, inputs)
    write_dictionary(building, dictionary_ids(codec), writers["train"].occurrences)
    codec.save(building)
    manifest = TextManifest(
        codec=codec.kind,
        vocabulary=num_symbols,
        documents=inputs.documents,
        splits={split: writer.counts for split, writer in writers.items()},
        source=inputs.stated(),
        files={path.name: sha256(path) for path in sorted(building.iterdir())},
    )
    manifest.save(building)
    return manifest


def _check_unchanged(request: Request, inputs: Inputs, place: Place) -> None:
    """Refuse to replace other data before the work, as far as can be told before it."""
    destination = Path(request.to)
    if request.overwrite or not (destination / NAME).is_file():
        return
    try:
        stands = TextManifest.load(destination)
    except UserError as error:
        raise occupied(place) from error
    files = {
        split: [(stated["path"], stated["bytes"]) for stated in read]
        for split, read in stands.source.get("files", {}).items()
    }
    named = {
        split: [(path.name, path.stat().st_size) for path in paths] for split, paths in inputs.files.items()
    }
    if (stands.codec, stands.documents, stands.source.get("split"), files) != (
        request.codec, inputs.documents, inputs.shares, named,
    ):  # fmt: skip
        raise occupied(place)


def _write_splits(
    building: Path, encoded: Iterable[Encoded], num_symbols: int, inputs: Inputs
) -> dict[str, SplitWriter]:
    """Write what comes; returns ``{split: SplitWriter}`` of the splits that got something."""
    writers: dict[str, SplitWriter] = {}
    # of tensors, the bytes of text are not known before
    total = None if inputs.documents == END_TOKENS else inputs.total_bytes
    with (
        ExitStack() as stack,
        tqdm(total=total, desc="encoding", unit="B", unit_scale=True, disable=None) as bar,
    ):
        for stretch in encoded:
            if stretch.split not in writers:
                writers[stretch.split] = stack.enter_context(
                    SplitWriter(building, stretch.split, num_symbols)
                )
            writers[stretch.split].add(stretch)
            bar.update(stretch.bytes)
    return writers


def _check_splits(writers: Mapping[str, SplitWriter], inputs: Inputs) -> None:
    """Every split asked for got a document."""
    for split in inputs.splits:
        if split not in writers:
            raise UserError(inputs.empty_split(split))


def _without_valid(manifest: TextManifest) -> Iterator[str]:
    if "valid" not in manifest.splits:
        yield "no valid split: fairseq-train needs --disable-validation with this folder"
