"""Reading the environment: what is accepted, and the sentence that names what is not."""

from pathlib import Path

import pytest

from hedgerow.environment import ConfigurationError, Environment, load_environment_file, load_running_system
from trading.enums import Mode


def test_unset_variable_without_default_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"HEDGEROW_X is not set.*\.env\.example"):
        Environment({}).read_text("HEDGEROW_X")


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("1", True), ("OFF", False), ("", False)])
def test_flag_reads_the_usual_words(text: str, value: bool) -> None:
    assert Environment({"X": text}).read_flag("X", False) is value


def test_flag_that_is_no_word_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="X is 'ture'; set it to true or false"):
        Environment({"X": "ture"}).read_flag("X", False)


@pytest.mark.parametrize("text", ["ten", "1.5", "-1", "999999999999"])
def test_number_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"X is .*; set it to a"):
        Environment({"X": text}).read_number("X", 5)


def test_unknown_mode_names_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="MODE is 'test'; set it to paper or live"):
        Environment({"MODE": "test"}).read_choice("MODE", Mode, Mode.PAPER)


def test_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Environment({"DATABASE_URL": "mysql://u:hunter2@h/d"}).read_url("DATABASE_URL", ("postgresql",))
    assert "hunter2" not in str(refusal.value)
    assert "postgresql://" in str(refusal.value)


def test_empty_url_takes_its_default() -> None:
    assert Environment({"X": ""}).read_url("X", ("http",), "http://here") == "http://here"


def test_earlier_source_wins_even_when_empty() -> None:
    assert Environment({"KEY_FILE": ""}, {"KEY_FILE": "/private.key"}).read_text("KEY_FILE", "") == ""


def test_environment_file_reads_names_and_quotes(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\n\nA=1\nexport B='two words'\nC=a=b\n")
    assert load_environment_file(file) == {"A": "1", "B": "two words", "C": "a=b"}


def test_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=1\nnot a line\n")
    with pytest.raises(ConfigurationError, match="line 2: expected NAME=value"):
        load_environment_file(file)


def test_running_system_never_lends_its_private_key(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment.json").write_text(
        '{"REDIS_URL": "redis://x", "HEDGEROW_VAULT_PRIVATE_KEY_FILE": "/private.key"}'
    )
    assert load_running_system(tmp_path) == {"REDIS_URL": "redis://x"}
