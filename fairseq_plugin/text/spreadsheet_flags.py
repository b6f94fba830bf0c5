"""The flag that marks texts which a spreadsheet would compute; see :mod:`fairseq_plugin.text.spreadsheet`."""

import argparse


def add_spreadsheet_flag(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """The flag of every script that writes rows."""
    told = (
        "put ' before texts that begin with = + - or @, which a spreadsheet would compute; they are counted"
    )
    parser.add_argument("--spreadsheet-safe", action="store_true", help=told)
