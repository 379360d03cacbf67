"""Every form of a module call that Terraform documents, with how firmly it is pinned: ``module_calls.tsv`` is the table.

``UPDATE_GOLDEN=1`` fills the last three columns of the table anew; what is expected to be said of a form is written by hand.
"""

import csv
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from pins.firmness import NOT_LITERAL, Firmness, Pin, Reason, Text, pin_of
from pins.modules import module_of

TABLE = Path(__file__).with_name("module_calls.tsv")
FOLDER = "stacks/de"


@dataclass(frozen=True)
class Form:
    shows: str
    source: str
    version: str
    reason: str
    pinned_to: str
    module: str
    package: str


def forms() -> list[Form]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [Form(*row) for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def text_of(cell: str) -> Text:
    """``-`` is absent, ``${}`` computed, quotes keep blanks and ``\\\\`` is one backslash."""
    if cell == "-":
        return None
    return NOT_LITERAL if cell == "${}" else cell.strip('"').replace("\\\\", "\\")


def pin(form: Form) -> Pin:
    return pin_of(text_of(form.source), text_of(form.version), folder=FOLDER)


@pytest.mark.parametrize("form", forms(), ids=lambda form: form.shows)
def test_a_form_is_as_firm_as_the_table_says(form: Form) -> None:
    found = pin(form)
    module = module_of(found)
    assert found.reason == form.reason
    if os.environ.get("UPDATE_GOLDEN"):
        return
    assert (found.pinned_to or "-") == form.pinned_to
    assert (module.name if module else "-", module.package if module else "-") == (form.module, form.package)


def test_the_table_has_forms_of_every_kind_and_for_every_reason() -> None:
    rows = forms()
    assert len(rows) >= 150
    assert len({form.shows for form in rows}) == len(rows)
    # What a tracker does not say, and what a library has not, have no form of their own.
    assert {form.reason for form in rows} == set(Reason) - {Reason.NOT_RECORDED, Reason.NO_SUCH_REF}
    assert set(Counter(pin(form).firmness for form in rows)) == set(Firmness)


def test_the_table_is_filled() -> None:
    if not os.environ.get("UPDATE_GOLDEN"):
        pytest.skip("only with UPDATE_GOLDEN=1")
    comments = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    rows = []
    for form in forms():
        found = pin(form)
        module = module_of(found)
        names = (module.name, module.package) if module else ("-", "-")
        rows.append("\t".join((form.shows, form.source, form.version, form.reason, found.pinned_to or "-", *names)))
    TABLE.write_text("\n".join([*comments, *rows]) + "\n", encoding="utf-8")
