"""A file of printed samples gives what the model wrote, or is refused: never a wrong sample."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.continuation_files import read_continuations
from fairseq_plugin.evaluation.run import Request, evaluate
from fairseq_plugin.storage.printed_samples import KnownTexts, read_printed
from tests.evaluation.made_text import write_folder
from tests.storage.made_print import printed

LOG = "2026-01-01 00:00:00 | INFO | fairseq_cli.generate | "
PLAIN = st.text(st.characters(codec="utf-8"), max_size=6)
# Texts whose line breaks are followed by what could be taken for records, singly or as whole samples.
RECORDS = st.one_of(
    st.sampled_from(["\n", "\r", "\u2028", "\x85", "\t", "S-0\t", "S-1\tp", "T-0\ty", "T-1\ty"]),
    st.sampled_from(["H-0\t-0.5\t5", "H-1\t-0.5\t6 7", "D-0\t-0.5\tx", "D-1\t-0.5\tx"]),
    st.sampled_from(["P-0\t-1.0000 -1.0000", "P-1\t-1.0000"]),
    st.sampled_from(["A-0\t0-0", "I-1\t2", "E-0_1\tx", "H-01\t-0.5\t9", f"{LOG}Translated 2 sentences (9"]),
    st.builds(printed, st.integers(0, 4), st.sampled_from(["", "5", "5 6"]), with_source=st.booleans()),
    st.builds(printed, st.integers(0, 4), st.just("5"), target=st.just("y")),
    PLAIN,
)
TEXTS = st.lists(st.one_of(RECORDS, st.just("\n")), max_size=8).map("".join)
SYMBOLS = st.lists(st.integers(0, 99), max_size=3).map(lambda ids: " ".join(map(str, ids)))
SAMPLES = st.lists(st.tuples(SYMBOLS, TEXTS, TEXTS, TEXTS, st.booleans()), min_size=1, max_size=4)


def write(path, samples, with_source, with_target):
    with open(path, "w", encoding="utf-8", newline="") as stream:
        for number, (symbols, text, source, target, ended) in enumerate(samples):
            target = target if with_target else None
            stream.write(printed(number, symbols, text, source, target, with_source, ended))


@given(samples=SAMPLES, with_source=st.booleans(), with_target=st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_of_any_form_never_make_a_wrong_sample(samples, with_source, with_target, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "generate-any.txt"
    write(path, samples, with_source, with_target)
    shown = "".join(
        text + source * with_source + target * with_target for _, text, source, target, _ in samples
    )
    try:
        found = read_continuations(path)
    except UserError as error:
        assert "\n" in shown  # texts on one line are read, whatever they hold
        assert "generate-any.txt, line" in str(error)
    else:
        assert found.numbers == list(range(len(samples)))
        assert found.ids == [[int(symbol) for symbol in one[0].split()] for one in samples]


FORGED = "x\nP-0\t-1.0000 -1.0000\n" + printed(7, "8 9")
HYPOTHESIS = "H-0\t-0.5\t5\nD-0\t-0.5\tx"


@pytest.mark.parametrize(
    "content",
    [
        printed(0, "5", FORGED),
        printed(0, "5", FORGED + "S-0\tp\n" + HYPOTHESIS),  # the true P- line closes this one
        printed(0, "5", "x\nP-0\t-1.0000 -1.0000\n" + HYPOTHESIS),
        printed(0, "5", source="p\n" + HYPOTHESIS + "\nP-0\t-1.0000\n" + printed(7, "8") + "S-0\tp"),
        printed(0, "5", target="y\n" + HYPOTHESIS + "\nP-0\t-1.0000"),
        printed(0, "5", FORGED + HYPOTHESIS, with_source=False),
        printed(0, "5", "two\nlines"),
    ],
)
def test_evaluate_lm_refuses_forged_lines_with_the_line_and_the_mend(content, tmp_path):
    folder, path = write_folder(tmp_path / "text"), tmp_path / "generate-test.txt"
    path.write_text(content + printed(1, "6", with_source=content.startswith("S-")))
    with pytest.raises(UserError, match=r"generate-test\.txt, line \d+: .*(as \.jsonl|--nbest 1)"):
        evaluate(Request(continuations=[f"f={path}"], codec_path=str(folder), resamples=0))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("H-1\t", "H-01\t", "line 6: sample 1 has no H- line"),
        ("S-1\t", "S-01\t", "line 5: the number of a sample is damaged"),
        ("S-1\tp\n", "", "line 5: some samples have an S- line, others have none: sample 1"),
        ("D-1\t-0.5", "D-1\t-0.6", "sample 1 has no D- line"),
        ("P-1\t-1.0000 -1.0000 ", "P-1\t", "line 8, sample 1: 2 scores for 3 symbols"),
        ("P-0\t-1.0000 -1.0000\n", "", "line 4: sample 0 has no whole P- line"),
        ("S-1\t", "T-0\ty\nS-1\t", "line 5: sample 0 has two hypotheses"),
        ("S-1\t", "A-1\ty\nS-1\t", "line 5: an? A- line without its H- line"),
        ("S-0\t", f"{LOG}Translated 3 sentences (9 tokens)\nS-0\t", "2 samples are there, but .* says 3"),
    ],
)
def test_a_damaged_record_is_named(old, new, complaint, tmp_path):
    path, content = tmp_path / "g.txt", printed(0, "5") + printed(1, "6 7 8")
    path.write_text(content)
    assert [one.ids for one in read_printed(path)] == [[5], [6, 7, 8]]
    path.write_text(content.replace(old, new))
    with pytest.raises(UserError, match=complaint):
        list(read_printed(path))


def test_logs_targets_and_alignments_are_passed_over(tmp_path):
    path, told = tmp_path / "g.txt", f"{LOG}Translated 1 sentences (9 tokens) in 0.1s\n"
    path.write_text(
        f"{LOG}{{'seed': 1}}\nGPT2(\n  (wte)\n)\n\n" + printed(3, "5", target="t") + "A-3\t0-0 1-1\nI-3\t4\n"
        "E-3_0\t5\n2026-01-01 | INFO | fairseq.logging.progress_bar | :  1 / 2 wps=9\n" + told
        + printed(12, "", target="t") + told + "Generate test with beam=1: BLEU4 = 0.00\n"
    )  # fmt: skip
    assert [(one.id, one.ids, one.num_scores) for one in read_printed(path)] == [(3, [5], 2), (12, [], 1)]


def test_known_texts_may_have_line_breaks_and_several_hypotheses(tmp_path):
    path, texts = tmp_path / "g.txt", {(5,): FORGED + HYPOTHESIS, (6,): "other"}
    path.write_text(printed(0, "5", texts[5,], source="p\nq") + printed(0, "6", "other", with_source=False))
    known = KnownTexts({0: "p\nq"}.__getitem__, lambda ids: texts[tuple(ids)])
    assert [(one.id, one.ids, one.text) for one in read_printed(path, known)] == [
        (0, [5], texts[5,]), (0, [6], "other"),
    ]  # fmt: skip


@pytest.mark.parametrize("symbols", ["-5", "+5", "1_0", "\u0665", "5 <unk>", "9" * 5000, "0x5"])
def test_only_decimal_numbers_are_ids(symbols, tmp_path):
    path = tmp_path / "g.txt"
    path.write_text(printed(0, symbols))
    assert [one.ids for one in read_printed(path)] == [None]


def test_what_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "g.txt").write_bytes(printed(0, "5").encode() + b"\xff\n")
    with pytest.raises(UserError, match=r"g\.txt is not UTF-8"):
        list(read_printed(tmp_path / "g.txt"))
