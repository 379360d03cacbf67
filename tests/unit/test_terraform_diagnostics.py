"""What is kept of Terraform's diagnostics: where and what, and no value."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.terraform_diagnostics import MOST_DIAGNOSTICS, WORDS, masked, read_diagnostics, values_of_variables
from records.terraform import Diagnostic, DiagnosticSeverity

SECRET = "hunter2"
LETTERS = "Sesamoeffnedich"
CORE = (
    "Ambiguous move statements", "Backend configuration block has changed", "Error acquiring the state lock",
    "Error releasing the state lock", "Failed to get existing workspaces", "Failed to install provider from shared cache",
    "Failed to query available provider packages", "Failed to load plugin schemas", "Failed to read variables file",
    "Inconsistent dependency lock file", "Incorrect attribute value type", "Invalid for_each argument",
    "Invalid multi-line string", "Invalid provider configuration", "Invalid value for input variable",
    "Missing required argument", "Module not installed", "No value for required variable", "Not enough function arguments",
    "Plugin did not respond",
    "Provider produced inconsistent result after apply", "Reference to undeclared input variable",
    "Required plugins are not installed", "Resource instance managed by newer provider version", "Resource precondition failed",
    "Saved plan is stale", "Self-referential block", "Unsupported Terraform Core version", "Unsupported argument",
)  # fmt: skip
"""What Terraform 1.11 says by itself when it cannot plan."""


def line(summary: str, *, severity: str = "error", **fields: Any) -> str:
    said = {"severity": severity, "summary": summary, "detail": "", **fields}
    message = {"@level": severity, "@message": f"Error: {summary}", "diagnostic": said, "type": "diagnostic"}
    return json.dumps(message, separators=(",", ":")) + "\n"


def read(tmp_path: Path, stdout: str, stderr: str = "", *, secrets: tuple[str, ...] = ()) -> tuple[Diagnostic, ...]:
    (tmp_path / "out").write_text(stdout, encoding="utf-8")
    (tmp_path / "err").write_text(stderr, encoding="utf-8")
    return read_diagnostics(tmp_path / "out", tmp_path / "err", secrets=secrets)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Error acquiring the state lock", "Error acquiring the state lock"),
        ("Failed to query available provider packages", "Failed to query available provider packages"),
        ('Invalid "self" reference', "Invalid … reference"),
        ('expected sku to be one of ["Standard" "Premium"], got swordfish', "expected … to be one of … got …"),
        ("parsing hunter2-rest: bad number", "parsing …: …"),
        ('key "unfinished', "key …"),
        ("first line\nsecond line hunter", "first line"),
        ("\x1b[31mInvalid\x1b[0m block", "Invalid block"),
        ("creating Vault: unexpected status 403 with error: AuthorizationFailed", "creating …: …"),
        ("connecting to https://user:pw@host/x?sig=abc failed", "connecting to …: …"),
        (f"creating Login: password {LETTERS} does not meet the policy", "creating Login: …"),
        (f"Invalid client secret {LETTERS}, tenant contoso", "Invalid client secret … tenant …"),
        (f"password {LETTERS} is too weak", "password … is too weak"),
        ("The password PassWord is too weak", "The password … is too weak"),
        (f"got {LETTERS} instead", "got …"),
        ("it doesn't match (see the file's type)", "it doesn't match (see the file's type)"),
        ("Cycle: a.b, c.d", "Cycle: …"),
        ("Failed to load state:", "Failed to load state:"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_summary_keeps_its_words_and_no_value(said: str, kept: str) -> None:
    assert masked(said) == kept


@pytest.mark.parametrize("said", CORE)
def test_terraforms_own_summaries_are_kept_whole(said: str) -> None:
    assert masked(said) == said


def test_a_known_value_is_hidden_even_in_words_that_are_kept() -> None:
    assert masked("The password state lock is weak", ["state lock"]) == "The password … is weak"


LETTERS_ALONE = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZäöü", min_size=8).filter(
    lambda text: text.lower() not in {word.lower() for word in WORDS}
)


@given(
    secret=LETTERS_ALONE,
    form=st.sampled_from(
        ["{}", "password {} is weak", "Invalid secret {}, tenant x", "({})", "a: {} b: {}", "it's {} isn't"]
    ),
)
def test_no_secret_of_letters_alone_is_given_away(secret: str, form: str) -> None:
    shown = masked(form.replace("{}", secret))
    assert not {secret, secret.lower()} & set(re.split(r"[^\w]+", shown))
    assert set(re.findall(r"[\w'/-]+", shown)) <= {*WORDS, *(word.capitalize() for word in WORDS), "it's", "isn't"}


@given(
    words=st.lists(st.sampled_from(["creating", "the", "Vault:", "got", "error"]), max_size=4),
    secret=st.text("abcdefXYZ0123456789-_=+/.", min_size=8).filter(
        lambda text: any(c in "0123456789-_=+" for c in text)
    ),
    form=st.sampled_from(['"{}"', "'{}'", "got {}", "{}", "name={}", "({})"]),
)
def test_no_summary_gives_away_what_is_no_plain_word(words: list[str], secret: str, form: str) -> None:
    assert secret not in masked(" ".join([*words, form.format(secret), *words]))


def test_the_place_is_kept_and_the_snippet_and_the_detail_are_not(tmp_path: Path) -> None:
    said = line(
        "Unsupported argument",
        detail=f"An argument named {SECRET} is not expected here.",
        address="module.hub.azurerm_key_vault.kv[0]",
        range={"filename": "modules/hub/main.tf", "start": {"line": 12, "column": 3, "byte": 99}, "end": {"line": 12}},
        snippet={"code": f'password = "{SECRET}"', "values": [{"traversal": "var.p", "statement": f"is {SECRET}"}]},
    )
    (found,) = read(tmp_path, said)
    assert found == Diagnostic(
        severity=DiagnosticSeverity.ERROR,
        summary="Unsupported argument",
        address="module.hub.azurerm_key_vault.kv[0]",
        file="modules/hub/main.tf",
        line=12,
    )
    assert str(found) == "error: Unsupported argument; module.hub.azurerm_key_vault.kv[0]; modules/hub/main.tf:12"


def test_codes_of_azure_are_kept_out_of_a_detail(tmp_path: Path) -> None:
    detail = f"GET https://x/{SECRET}: unexpected status 403 (403): AuthorizationFailed: client {SECRET}; AADSTS700016."
    (found,) = read(tmp_path, line("listing", detail=detail))
    assert found.codes == ("AADSTS700016", "AuthorizationFailed", "HTTP 403")
    assert SECRET not in repr(found)


def test_errors_come_first_once_each_and_not_too_many(tmp_path: Path) -> None:
    words = [f"no {word}" for word in sorted(WORDS)[: MOST_DIAGNOSTICS + 5]]
    lines = [line("old provider", severity="warning"), *map(line, words), line(words[0])]
    found = read(tmp_path, "".join(lines))
    assert [one.summary for one in found] == words[:MOST_DIAGNOSTICS]
    found = read(tmp_path, line("a warning", severity="warning") + line("an error") + line("an error"))
    assert [str(one) for one in found] == ["error: an error", "warning: a warning"]


def test_what_a_provider_says_gives_away_nothing_and_keeps_its_codes(tmp_path: Path) -> None:
    """As a provider made with SDK v2 does, which has all of it in the summary."""
    text = (
        f"creating Login {LETTERS}: unexpected status 400 with error: AuthorizationFailed: password {LETTERS} is weak"
    )
    heredoc = f"Invalid client secret {LETTERS}\n{LETTERS}"
    found = read(
        tmp_path,
        line(text, address="azurerm_mssql_server.main", detail=f"{LETTERS}: TooManyRequests")
        + line(heredoc, address="azurerm_key_vault.kv", severity="warning"),
        f"Error: Failed to configure {LETTERS}\n",
    )
    assert LETTERS not in repr(found)
    assert [str(one) for one in found] == [
        "error: creating Login …: …; AuthorizationFailed; HTTP 400; TooManyRequests; azurerm_mssql_server.main",
        "error: Failed to configure …",
        "warning: Invalid client secret …; azurerm_key_vault.kv",
    ]


@pytest.mark.parametrize(
    "noise",
    [
        '{"type":"version","ui":"1.2"}\n',
        "Successfully configured the backend\n",
        '{"type":"diagnostic"}\n',
        '{"type":"diagnostic","diagnostic":{"severity":"fatal","summary":"x"}}\n',
        '{"type":"diagnostic","diagnostic":',
        '{"type":"outputs","outputs":{"p":{"value":"hunter2"}}}\n',
        '{"type":"diagnostic","x":"' + "y" * 600_000 + '"}\n',
    ],
    ids=["a version", "text", "no diagnostic", "a severity not known", "cut off", "outputs", "a line of any length"],
)
def test_lines_that_are_no_diagnostic_are_passed_over(tmp_path: Path, noise: str) -> None:
    assert [one.summary for one in read(tmp_path, line("one") + noise)] == ["one"]


def test_an_error_before_json_is_known_is_read_from_stderr(tmp_path: Path) -> None:
    first = f"\x1b[31m╷\x1b[0m\n\x1b[31m│\x1b[0m \x1b[1mError: \x1b[0mFailed to read {SECRET}"
    text = f"{first}\n│\n│ because Error: of {SECRET}\n╵\n"
    (found,) = read(tmp_path, "", text)
    assert found == Diagnostic(severity=DiagnosticSeverity.ERROR, summary="Failed to read …")


def test_values_are_hidden_in_an_address_too(tmp_path: Path) -> None:
    (found,) = read(tmp_path, line("bad", address='a.b["hunter2"]'), secrets=(SECRET,))
    assert found.address == 'a.b["…"]'


def test_the_strings_of_variable_files_are_values(tmp_path: Path) -> None:
    (tmp_path / "terraform.tfvars").write_text('password = "correct horse"\nshort = "de"\n')
    (tmp_path / "a.auto.tfvars.json").write_text('{"token": "swordfish"}')
    (tmp_path / "main.tf").write_text('resource "terraform_data" "vnet" {}')
    assert values_of_variables(tmp_path) == {"correct horse", "swordfish", "token"}
