from __future__ import annotations

from envtune.bfcl.audit.arithmetic import is_computable, numbers_in


def test_numbers_are_read_from_digits_and_words() -> None:
    assert numbers_in(["20,000 RMB, 12.5% of twelve", "a thousand"]) == {20000.0, 12.5, 12.0, 1000.0}


def test_one_operation_is_covered_and_another_value_is_not() -> None:
    # A tank of 50 with 10.5 in it: 39.5 are missing.
    assert is_computable(39.5, frozenset({50.0, 10.5}), rounded=False)
    assert not is_computable(39.0, frozenset({50.0, 10.5}), rounded=False)
    # 38 litres times 0.264172 are 10.038536 gallons.
    assert is_computable(10.04, frozenset({38.0}), rounded=True)
    assert not is_computable(10.04, frozenset({38.0}), rounded=False)
    assert not is_computable(10.05, frozenset({38.0}), rounded=True)


def test_a_thousand_is_rounded_to_thousands() -> None:
    # Ten times 457.23 is 4572.3.
    assert is_computable(5000, frozenset({457.23}), rounded=True)
    assert not is_computable(5000, frozenset({457.23}), rounded=False)


def test_the_stale_count_of_a_file_is_not_computable() -> None:
    assert not is_computable(62, frozenset({3.0, 16.0, 60.0}), rounded=False)
