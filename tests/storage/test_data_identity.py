"""A checkpoint of other labels, or of another dictionary or tokenizer, is told apart."""

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.data_identity import check_identity, identity

SYMBOLS, CODEC, FILES = ["<s>", "</s>", "1", "2"], b"codec", {"dict.txt": "ab", "train.bin": "cd"}
LABELS = {"bad": ["bad", [2]], "good": ["good", [3]]}
OWN = identity(SYMBOLS, CODEC, FILES, LABELS)


@pytest.mark.parametrize(
    "labels",
    [
        {"bad": ["bad", [2]], "fine": ["good", [3]]},  # a name
        {"bad": ["bad", [2]], "good": ["well", [3]]},  # a text
        {"bad": ["bad", [2]], "good": ["good", [2]]},  # a prompt
        {"good": ["good", [3]], "bad": ["bad", [2]]},  # the order, which labels.npy counts in
        None,
    ],
)
def test_other_labels_are_refused_with_both_names(labels):
    with pytest.raises(UserError, match="other labels: .*; the data's are 'bad', 'good'"):
        check_identity(identity(SYMBOLS, CODEC, FILES, labels) | ({} if labels else {"labels": None}), OWN)


@pytest.mark.parametrize(("symbols", "codec"), [(SYMBOLS[::-1], CODEC), (SYMBOLS, b"other")])
def test_another_dictionary_or_tokenizer_is_refused(symbols, codec):
    with pytest.raises(UserError, match="another dictionary"):
        check_identity(identity(symbols, codec, FILES, LABELS), OWN)


def test_other_splits_of_the_same_labels_pass_and_an_older_checkpoint_gets_a_line():
    assert check_identity(identity(SYMBOLS, CODEC, {"dict.txt": "ab"}, LABELS), OWN) is None
    assert "does not say which labels" in check_identity(None, OWN)
    assert "does not say which labels" in check_identity({}, OWN)
