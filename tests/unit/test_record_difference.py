"""What is shown of a record that is to be written: field by field, the old value before the new one."""

import json
from typing import Any

from recording.render.difference import difference
from records.tracker import TrackerRecord


def tracker(**changes: Any) -> TrackerRecord:
    return TrackerRecord.model_validate_json(
        json.dumps({"schema_version": 1, "market": "de", "stack": "app"} | changes)
    )


def event(number: int) -> dict[str, Any]:
    return {"at": f"2026-11-2{number}T06:00:00Z", "action": "accept", "by": "anne"}


def lines(before: TrackerRecord | None, after: TrackerRecord) -> list[str]:
    return difference(before, after).plain.splitlines()


def test_a_value_that_changes_is_told_as_it_was_and_then_as_it_will_be() -> None:
    told = lines(tracker(serial=40, commit="e" * 40, release="1"), tracker(serial=42, commit="6" * 40, release="1"))
    assert told == [
        '  "schema_version": 1',
        '  "market": "de"',
        '  "stack": "app"',
        '- "serial": 40',
        '+ "serial": 42',
        '  "release": "1"',
        f'- "commit": "{"e" * 40}"',
        f'+ "commit": "{"6" * 40}"',
    ]


def test_a_list_that_goes_and_one_that_comes_are_each_told_as_a_whole() -> None:
    module = {"name": "vnet", "source": "git::https://x/y?ref=v1"}
    told = lines(tracker(modules=[module]), tracker(history=[event(1)]))
    assert told[3:] == [
        '- "modules": [',
        "-   {",
        '-     "name": "vnet",',
        '-     "source": "git::https://x/y?ref=v1"',
        "-   }",
        "- ]",
        '+ "history": [',
        "+   {",
        '+     "at": "2026-11-21T06:00:00Z",',
        '+     "action": "accept",',
        '+     "by": "anne"',
        "+   }",
        "+ ]",
    ]


def test_of_a_list_that_stays_only_the_items_that_come_are_marked() -> None:
    told = lines(tracker(history=[event(1)]), tracker(history=[event(1), event(2)]))
    assert [line for line in told if line.startswith("-")] == []
    assert [line for line in told if line.startswith("+")] == [
        "+   {",
        '+     "at": "2026-11-22T06:00:00Z",',
        '+     "action": "accept",',
        '+     "by": "anne"',
        "+   }",
    ]
    assert told[3] == '  "history": ['
    assert told[-1] == "  ]"


def test_all_of_a_new_record_comes() -> None:
    assert all(line.startswith("+ ") for line in lines(None, tracker(serial=1)))
