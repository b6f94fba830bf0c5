"""Verdicts: one per sample, the first reason that applies, nothing lost."""

import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fairseq_plugin.augment.filters.chain import Candidate, FilterChain, exact_key, folded_key, tally
from fairseq_plugin.augment.filters.text_filters import (
    Copies,
    Duplicates,
    WholeText,
    Writable,
    control_characters,
)


@dataclass
class One:
    text: str
    ended: bool = True
    special: bool = False


KNOWN = {"train": {"seen"}, "valid": {"held", "both"}, "test": {"both", "secret"}}


def without_tab(texts):
    return ["\t" not in text for text in texts]


def make_chain(key=exact_key, keep_copies=(), controls=()):
    known = {split: keys for split, keys in KNOWN.items() if split not in keep_copies}
    return FilterChain([WholeText(controls), Writable(without_tab), Copies(known, key), Duplicates(key)])


REASONS = list(make_chain().reasons)


def candidates_of(texts, labels=None):
    ones = [text if isinstance(text, One) else One(text) for text in texts]
    given_labels = labels or [0] * len(ones)
    return [
        Candidate(i, label, one.text, "5 <unk>" if one.special else "5", 2, one.ended)
        for i, (one, label) in enumerate(zip(ones, given_labels))
    ]


def judge(texts, labels=None, **options):
    return make_chain(**options).check(candidates_of(texts, labels))


def judge_in_batches(chain, candidates, ends):
    """Every candidate's last verdict, the candidates cut into batches at ``ends``."""
    found, cuts = {}, [0, *sorted({end % (len(candidates) + 1) for end in ends}), len(candidates)]
    for start, end in pairwise(cuts):
        batch = candidates[start:end]
        verdicts = chain.check(batch)
        found |= {one.id: verdict for one, verdict in zip(batch, verdicts)} | dict(chain.revoked)
    return [found[one.id] for one in candidates]


def test_every_reason_is_found():
    found = judge(
        [
            One("", special=True),
            One("x", ended=False),
            " \n",
            "a\ufffd",
            "a\x1b[31m",
            "a\tb",
            "secret",
            "held",
            "seen",
            "fine",
            " fine ",
        ]
    )
    assert found == [
        "special",
        "not_ended",
        "empty",
        "broken",
        "control_characters",
        "unwritable",
        "copy_of_test",
        "copy_of_valid",
        "copy_of_train",
        None,
        "duplicate",
    ]
    assert set(found) | {"conflict"} == {*REASONS, None}


def test_the_first_reason_in_the_list_is_given():
    assert judge([One("seen", ended=False), "both", "seen", "seen"]) == [
        "not_ended",
        "copy_of_test",
        "copy_of_train",
        "copy_of_train",
    ]


def test_a_text_under_two_labels_is_no_example_of_either():
    assert judge(["a", "b", "a", "a"], labels=[0, 0, 1, 0]) == ["conflict", None, "conflict", "conflict"]


def test_a_rejected_sample_makes_no_duplicate_and_no_conflict():
    assert judge([One("a", ended=False), "a", "a"], labels=[1, 0, 0]) == ["not_ended", None, "duplicate"]


def test_copies_are_kept_on_request_split_by_split():
    assert judge(["seen", "held", "both"], keep_copies=("train", "test")) == [
        None,
        "copy_of_valid",
        "copy_of_valid",
    ]


def test_folded_comparison_ignores_case_and_spacing():
    assert folded_key("  A  Film\n") == folded_key("a film") != exact_key("A film")
    assert judge(["A film", "a  FILM", "SEEN"], key=folded_key) == [None, "duplicate", "copy_of_train"]
    assert judge(["A film", "a  FILM", "SEEN"]) == [None, None, None]


TEXTS = st.sampled_from(["", " ", "a", "b", "a\t", "seen", "held", "both", "\ufffd", "c", "d"])
SAMPLES = st.lists(
    st.tuples(st.builds(One, TEXTS, st.booleans(), st.booleans()), st.integers(0, 2)), max_size=30
)


@given(SAMPLES, st.sets(st.sampled_from(["train", "valid", "test"])))
def test_in_is_out_plus_rejected(rows, keep):
    samples, labels = [sample for sample, _ in rows], [label for _, label in rows]
    reasons = judge(samples, labels, keep_copies=keep)
    counts = tally(labels, reasons, ["x", "y", "z"], REASONS)
    total = counts.total
    assert total.generated == len(rows) == total.kept + total.rejected
    assert total.rejected == sum(total.reasons.values())
    for part in ("generated", "kept", "rejected"):
        assert getattr(total, part) == sum(getattr(own, part) for own in counts.labels.values())
    for reason in REASONS:
        assert total.reasons[reason] == reasons.count(reason)


@given(st.text(st.characters(exclude_categories=[]), max_size=8), st.sets(st.characters(max_codepoint=0x9F)))
def test_a_control_character_is_a_reason_unless_train_holds_it(text, allowed):
    bad = [
        c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" and c not in allowed
    ]
    (found,) = judge([f"x{text}"], controls=control_characters(["".join(allowed)]))
    expected = "broken" if "\ufffd" in text else "control_characters" if bad else None
    assert found in (expected, "unwritable" if "\t" in text else expected)


@given(SAMPLES)
def test_kept_samples_agree_with_a_literal_statement(rows):
    samples, labels = [sample for sample, _ in rows], [label for _, label in rows]
    reasons = judge(samples, labels)
    real = {"seen", "held", "both", "secret"}

    def good(sample):
        text = sample.text.strip()
        return (
            sample.ended
            and not sample.special
            and text
            and "\ufffd" not in text
            and "\t" not in sample.text
            and text not in real
        )

    expected = []
    for i, (sample, label) in enumerate(rows):
        twins = [
            other
            for j, other in enumerate(rows)
            if good(other[0]) and other[0].text.strip() == sample.text.strip()
        ]
        first = next(
            (
                j
                for j, other in enumerate(rows)
                if good(other[0]) and other[0].text.strip() == sample.text.strip()
            ),
            None,
        )
        expected.append(bool(good(sample)) and first == i and all(twin[1] == label for twin in twins))
    assert [reason is None for reason in reasons] == expected


@given(SAMPLES, st.lists(st.integers(0, 30)))
def test_batches_of_any_size_give_the_same_verdicts(rows, ends):
    samples, labels = [sample for sample, _ in rows], [label for _, label in rows]
    candidates = candidates_of(samples, labels)
    assert judge_in_batches(make_chain(), candidates, ends) == judge(samples, labels)


def test_a_conflict_revokes_the_first_sample_and_its_repeats():
    chain = make_chain()
    first, repeat, other, conflict = candidates_of(["a", "a", "b", "a"], [0, 0, 0, 1])
    assert chain.check([first, repeat, other]) == [None, "duplicate", None] and chain.revoked == []
    assert chain.check([conflict]) == ["conflict"] and chain.revoked == [(0, "conflict"), (1, "conflict")]
    assert chain.check([]) == [] and chain.revoked == []
