#!/usr/bin/env python
"""GPT-2 weights between Hugging Face folders and fairseq checkpoints.

    python scripts/convert_gpt2.py fetch gpt2 --to models/gpt2
    python scripts/convert_gpt2.py check models/gpt2
    python scripts/convert_gpt2.py export checkpoints/checkpoint_best.pt --data data-bin/sst2 --to models/mine

The other way round needs no conversion: fairseq-train --pretrained-model models/gpt2 reads the folder.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq_plugin.errors import plain_errors
from fairseq_plugin.pretrained.export import export_checkpoint
from fairseq_plugin.pretrained.fetch import fetch
from fairseq_plugin.pretrained.hf_folder import read_folder


def parse(arguments=None):
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


def sizes(config):
    """One line on a model's sizes."""
    return (
        f"{config.n_layer} layers x {config.n_embd}, {config.n_head} heads, {config.n_positions} positions, "
        f"{config.vocab_size:,} tokens (end token {config.eos_token_id})"
    )


@plain_errors()
def main(arguments=None):
    args = parse(arguments)
    if args.command == "fetch":
        print(f"{args.to}: {sizes(fetch(args.name, args.to, args.revision))}")
    elif args.command == "check":
        config, tensors = read_folder(args.folder, "check")
        num_parameters = sum(tensors[name].numel() for name in tensors)
        print(f"{args.folder}: {sizes(config)}; {num_parameters:,} numbers, all finite")
    else:
        written = export_checkpoint(args.checkpoint, args.data, args.to)
        print(
            f"{args.to}: {sizes(written.config)}; {written.num_parameters:,} parameters, "
            f"{written.codec_kind} tokenizer"
        )


if __name__ == "__main__":
    main()
