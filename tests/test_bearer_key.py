from __future__ import annotations

import pytest

from envtune.bearer_key import bearer, carries, is_loopback, key_from
from envtune.errors import UserError


def test_a_key_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    assert key_from("A_KEY") is None
    monkeypatch.setenv("A_KEY", "aB3-_.~+/=")
    assert key_from("A_KEY") == "aB3-_.~+/="


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "schlüssel"])
def test_what_no_header_can_carry_is_not_a_key(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("A_KEY", key)
    with pytest.raises(UserError, match=r"^A_KEY holds \d characters that cannot be a key: set it to letters") as error:
        key_from("A_KEY")
    assert not key.strip() or key not in str(error.value)


def test_a_header_carries_the_key_only_as_its_bearer_token() -> None:
    assert carries(bearer("key")["Authorization"], "key")
    assert carries("bearer  key", "key")
    for other in ("", "key", "Bearer", "Bearer ", "Bearer KEY", "Bearer keys", "Basic key", "Bearer k\u00e4y"):
        assert not carries(other, "key")
    assert bearer(None) == {}


def test_only_addresses_of_this_machine_are_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "", "10.0.0.1", "example.org", "localhost.example.org")))
