"""What a spreadsheet would compute is marked, and numbers of a table stay numbers."""

import pytest

from fairseq_plugin.tables.writing import marked_rows
from fairseq_plugin.text.spreadsheet import mark_formula, unmark_formula


@pytest.mark.parametrize(
    "text", ["=1+1", "@me", "+1 for this", "-5 stars", "'=x", "''-", "it's", "", "5", "a=b"]
)
def test_a_mark_is_taken_off_again_whatever_the_text_began_with(text):
    marked = mark_formula(text)
    assert unmark_formula(marked) == text
    assert not marked.startswith(("=", "+", "-", "@"))


def test_of_a_table_texts_are_marked_and_numbers_stay_numbers():
    rows = [["-5", "-1.5e-3", "=SUM(A1)", "+49 30"], ["12", "", "plain", "-"]]
    assert marked_rows(rows) == ([["-5", "-1.5e-3", "'=SUM(A1)", "'+49 30"], ["12", "", "plain", "'-"]], 3)


def test_every_script_that_writes_rows_has_the_flag(run_script):
    for script in ("augment.py", "generate.py", "collect.py", "synthesize.py"):
        assert "--spreadsheet-safe" in run_script(script, "--help").stdout
