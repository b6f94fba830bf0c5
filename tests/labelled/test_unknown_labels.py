"""Rows of valid and test whose label no training row has."""

from dataclasses import replace

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.prepare import Request, prepare
from fairseq_plugin.labelled.summary import format_summary


def test_a_label_that_train_lacks_is_refused_or_dropped_and_counted(tmp_path):
    train, valid = tmp_path / "train.tsv", tmp_path / "valid.tsv"
    train.write_text("sentence\tlabel\n" + "".join(f"text {i}\t{'ab'[i % 2]}\n" for i in range(20)))
    valid.write_text("sentence\tlabel\none\ta\ntwo\tc\nthree\tb\nfour\td\n")
    request = Request(
        train=str(train), valid=str(valid), to=str(tmp_path / "data"), codec="bytes", vocab_size=300
    )
    refusal = r"valid.tsv line 3: label 'c' is not in train.*--drop-unknown-labels"
    with pytest.raises(UserError, match=refusal):
        prepare(request)
    prepared = prepare(replace(request, drop_unknown_labels=True))
    assert prepared.manifest.rejected["valid"]["unknown_label"] == [3, 5]
    assert prepared.manifest.splits["valid"].rows == 2
    told = "2 rejected, with a label that train lacks: line 3 ('c'), 5 ('d')"
    assert told in format_summary(prepared, "data")
