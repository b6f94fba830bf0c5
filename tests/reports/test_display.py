"""Texts as a person sees them: nothing hidden, nothing rearranged, and spelt as they are."""

import pytest

from fairseq_plugin.reports.display import percent_range, visible


@pytest.mark.parametrize(
    "text", ["👩\u200d🎤", "🏃\u200d♀\ufe0f", "می\u200cروم", "क्\u200dष", "❤\ufe0f\u200d🔥"]
)
def test_a_joiner_that_belongs_to_the_spelling_stays(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200db", "a⟨U+200D⟩b"),
        ("\u200cم", "⟨U+200C⟩م"),
        ("می\u200c\u200cروم", "می\u200c⟨U+200C⟩روم"),
        ("👩\u200b", "👩⟨U+200B⟩"),
        ("\u202eabc", "⟨U+202E⟩abc"),
        ("ا⟨U+200E⟩", "ا⟨U+200E⟩"),
    ],
)
def test_what_hides_or_rearranges_is_shown(text, shown):
    assert visible(text) == shown


def test_a_range_is_one_word_and_one_figure_where_both_ends_read_alike():
    assert percent_range(0.6272, 0.6671) == "62.7\u201366.7\u00a0%"
    assert percent_range(0.6531, 0.6532) == "65.3\u00a0%"
