"""Messages hold no secrets, whoever made them."""

import errno
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import RunError, UserError, redacted, writing

SECRET = "sk-0123456789abcdef"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("HF_TOKEN", SECRET + "-longer")
    monkeypatch.setenv("SOME_KEY", "none")
    monkeypatch.setenv("EDITOR", "an-editor-of-mine")


@pytest.mark.parametrize("kind", [UserError, RunError])
def test_an_error_never_says_a_key(kind: type[Exception]) -> None:
    error = kind(f"refused: {SECRET}, {SECRET}-longer, none, an-editor-of-mine")
    assert str(error) == "refused: ***, ***, none, an-editor-of-mine"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_key_with_a_line_end_is_found_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "sk-other-0123456789\r\n")  # as a file of another system has it
    assert redacted("refused: 'sk-other-0123456789'") == "refused: '***'"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYNTHGAP_MOST_TOKENS", "10000000"), ("SYNTHGAP_KEYS", "MY_SERVER_KEY,OTHER"), ("MAX_TOKENS", "10000000"),
        ("KEYCLOAK_REALM", "customers"), ("KEYBOARD_LAYOUT", "de-latin1"), ("PWD", "/home/someone"),
        ("TOKENIZERS_PARALLELISM", "false-or-true"), ("MONKEYPATCHED", "something"),
    ],
)  # fmt: skip
def test_settings_and_numbers_are_no_secrets(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert redacted(f"it is {value}") == f"it is {value}"


@pytest.mark.parametrize(
    "name",
    ["PGPASSWORD", "GH_TOKEN", "MY_APIKEY", "AWS_ACCESS_KEY_ID", "api_keys", "MYSQL_PWD", "PREFECT_API_AUTH_STRING",
     "GOOGLE_CREDENTIALS", "OPENAI_API_KEY_2", "SYNTHGAP_KEY_MINE", "DOOR_CODE"],
)  # fmt: skip
def test_variables_that_hold_secrets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHGAP_KEYS", "DOOR_CODE")
    monkeypatch.setenv(name, "code-of-a-door")
    assert redacted("it is code-of-a-door") == "it is ***"


def test_a_released_key_may_be_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHGAP_KEY_MINE", "1234567890")
    assert redacted("it is 1234567890") == "it is ***"


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_secret_is_found_wherever_it_stands(before: str, after: str) -> None:
    assert SECRET not in redacted(before + SECRET + after)


@pytest.mark.parametrize(
    "text",
    ["see https://me:hunter2@host:1/v1 for", "postgresql+psycopg://me:hunter2@db/x", "'http://hunter2@h', 'x@y.z'"],
)
def test_a_login_in_a_url_is_taken_out(text: str) -> None:
    assert "hunter2" not in redacted(text) and "://***@" in redacted(text)


@pytest.mark.parametrize("text", ["http://host/a@b", "mail me@example.com", "a://b c@d", ""])
def test_what_is_no_login_stays(text: str) -> None:
    assert redacted(text) == text


def test_what_the_disk_refuses_is_one_message_with_the_path() -> None:
    with (
        pytest.raises(RunError, match=r"cannot write the journal '/x/y': No space left.*run again"),
        writing("the journal", Path("/x/y")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("kind", [UserError, RunError])
def test_an_error_can_be_written_whatever_a_provider_says(kind: type[Exception]) -> None:
    assert str(kind("refused: half \ud83d of it \ud83d\ude00")) == "refused: half \ufffd of it 😀"
