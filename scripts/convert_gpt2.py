#!/usr/bin/env python
"""GPT-2 weights between Hugging Face folders and fairseq checkpoints.

    python scripts/convert_gpt2.py fetch gpt2 --to models/gpt2
    python scripts/convert_gpt2.py check models/gpt2
    python scripts/convert_gpt2.py export checkpoints/checkpoint_best.pt --data data-bin/sst2 --to models/mine

The other way round needs no conversion: fairseq-train --pretrained-model models/gpt2 reads the folder.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq_plugin.checksums import read_checksums
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.pretrained.export import export_checkpoint
from fairseq_plugin.pretrained.fetch import fetch
from fairseq_plugin.pretrained.hf_config import HFConfig
from fairseq_plugin.pretrained.hf_folder import check_folder, read_folder
from fairseq_plugin.storage.manifest import NAME


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("fetch", help="fetch a model by its name on the Hugging Face hub into a folder")
    one.add_argument("name", help="gpt2, distilgpt2, gpt2-medium, someone/their-gpt2, ...")
    one.add_argument("--to", required=True, help="folder to make")
    one.add_argument("--revision", help="branch, tag or commit (default: the newest)")
    one = commands.add_parser(
        "check", help="read a Hugging Face GPT-2 folder strictly and print what it holds"
    )
    one.add_argument("folder")
    one = commands.add_parser("export", help="write a checkpoint of ours as a Hugging Face folder")
    one.add_argument("checkpoint", help="fairseq checkpoint (.pt)")
    one.add_argument("--data", required=True, help="the prepared data folder it was trained on")
    one.add_argument("--to", required=True, help="folder to make")
    return parser.parse_args(arguments)


def sizes(config: HFConfig) -> str:
    """One line on a model's sizes."""
    return (
        f"{config.n_layer} layers x {config.n_embd}, {config.n_head} heads, {config.n_positions} positions, "
        f"{config.vocab_size:,} tokens (end token {config.eos_token_id})"
    )


def prompts_of(data: str | Path) -> list[str]:
    """How the texts of each label begin in a prepared folder; nothing for data without labels."""
    if not (Path(data) / NAME).is_file():
        return []
    try:
        TextManifest.load(data)
        return []
    except UserError:  # of the other kind, or damaged
        manifest = Manifest.load(data)
        return [label.text + manifest.separator for label in manifest.labels]


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    if args.command == "fetch":
        config, provenance = fetch(args.name, args.to, args.revision)
        print(f"{args.to}: {sizes(config)}; {provenance}")
    elif args.command == "check":
        check_folder(args.folder, "check")
        read_checksums(args.folder).check_all()
        config, tensors = read_folder(args.folder, "check")
        num_parameters = sum(tensors[name].numel() for name in tensors)
        print(
            f"{args.folder}: {sizes(config)}; {num_parameters:,} numbers, all finite; {tensors.provenance()}"
        )
    else:
        written = export_checkpoint(args.checkpoint, args.data, args.to, prompts_of(args.data))
        print(
            f"{args.to}: {sizes(written.config)}; {written.num_parameters:,} parameters, "
            f"{written.codec_kind} tokenizer"
        )


if __name__ == "__main__":
    main()
