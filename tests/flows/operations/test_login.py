"""The password of the servers: made, kept in a file of its owner, refused, and put into a link."""

import os
import stat
from pathlib import Path

import pytest

from flows.operations.login import CHOSEN, Login, keep_login, path_of, read_login
from tasks.errors import UserError
from tasks.settings import Settings

LOGIN = Login("someone", "long-enough-planted")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_home_gets_a_password_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    homes = [Settings(home=tmp_path / name) for name in "ab"]
    for home in homes:
        home.home.mkdir()
    first, second = (keep_login(home, {}) for home in homes)
    assert first.password != second.password and len(first.password) >= 40
    assert keep_login(homes[0], {}) == first == read_login(homes[0])
    assert mode(path_of(homes[0])) == 0o600
    assert [path.name for path in homes[0].home.iterdir()] == ["login"]


def test_its_file_is_the_owners_alone_whatever_it_was_before(settings: Settings) -> None:
    before = os.umask(0)
    try:
        path_of(settings).write_text(f"{LOGIN.text}\n")
        assert mode(path_of(settings)) == 0o666
        assert keep_login(settings, {}) == LOGIN
    finally:
        os.umask(before)
    assert mode(path_of(settings)) == 0o600


def test_a_password_that_the_user_chose_is_taken_and_kept(settings: Settings) -> None:
    keep_login(settings, {})
    assert keep_login(settings, {CHOSEN: LOGIN.text}) == LOGIN == keep_login(settings, {})


@pytest.mark.parametrize(
    "wrong", ["someone", "someone:short", "some one:long-enough-1", ":long-enough-1", "a:ümlaut-umlaut"]
)
def test_what_a_server_would_not_take_is_refused_and_not_repeated(settings: Settings, wrong: str) -> None:
    with pytest.raises(UserError, match=f"{CHOSEN} must be user:password") as refusal:
        keep_login(settings, {CHOSEN: wrong})
    assert wrong not in str(refusal.value)
    path_of(settings).write_text(wrong)
    with pytest.raises(UserError, match="login must be user:password"):
        keep_login(settings, {})


def test_where_there_is_no_password_nobody_is_logged_in(settings: Settings) -> None:
    assert read_login(settings) is None


def test_a_password_may_hold_a_colon_and_stands_behind_the_hash_of_the_link(settings: Settings) -> None:
    login = keep_login(settings, {CHOSEN: "me:with:colons:1234"})
    assert (login.user, login.password) == ("me", "with:colons:1234")
    address, _, fragment = login.link("http://127.0.0.1:4200").partition("#")
    assert "bWU" in fragment and "bWU" not in address
    assert login.password not in repr(login)
    assert login.signing_key != LOGIN.signing_key and login.password not in login.signing_key
