from __future__ import annotations

import pytest

from envtune.bfcl.audit.text_matching import is_readable, nearest, quotation


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("report.txt", "Open 'report.txt' please."),
        ("#Travel", "with the hashtag 'Travel'"),
        ("@mike", "mention mike"),
        ("2026-11-15", "on the 15th of the year 2026's eleventh month"),
        ("2026-10-31", "on the last day of October 2026"),
        ("12/2028", "expiring in December 2028"),
        ("12/2025", "expiration date '12/25'"),
        ("750.0 km from A", "Write 'xxx km from A'. The distance is 750.0."),
        ("a.txt, b.txt", '["a.txt", "b.txt"]'),
        ("79.pdf", "It should be 'number.pdf'; 79 bytes"),
    ],
)
def test_what_is_written_in_another_form_is_readable(text: str, source: str) -> None:
    assert is_readable(text, [source])


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("08/2025", "set to expire in 08/2026"),
        ("2026-11-15", "on November 14th 2026"),
        ("ticket_001", "a ticket; booking 001"),
        ("Feedback was bad.", "The feedback was quite bad."),
        ("a.txt, c.txt", '["a.txt", "b.txt"]'),
        ("one + two", "one\n+ two"),
    ],
)
def test_what_is_not_written_is_not_readable(text: str, source: str) -> None:
    assert not is_readable(text, [source])


def test_the_nearest_passage_differs_in_order_or_a_few_characters() -> None:
    assert nearest("one three two", ["one two three"]) == "one two three"
    sentence = "The flight on December 15, 2026, needs to be canceled."
    assert nearest(sentence.replace("2026", "2023"), [f"Write: {sentence} Thanks."]) == sentence
    assert nearest("Problem with invoicing.", ["the trouble I had with an invoice"]) is None
    assert nearest("one", ["ones"]) is None


def test_a_quotation_counts_as_another_text_by_its_punctuation() -> None:
    assert quotation("All is well.", "Write 'All is well'.") == "All is well"
    assert quotation("All is well", "Write 'All is well'.") is None
    assert quotation("Alert", "titled 'Alert,' please") is None
    assert quotation("I'll come", 'Write "I\'ll come!"') == "I'll come!"
