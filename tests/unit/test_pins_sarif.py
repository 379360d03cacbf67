"""SARIF as GitHub takes it: https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adapters.configuration_folders import Wanted, read_configuration
from pins.audit import audit
from pins.render.sarif import render_sarif


def log_of(folder: Path) -> tuple[str, dict[str, Any]]:
    text = "".join(render_sarif(audit(read_configuration([folder], Wanted(max_bundle_bytes=0)))))
    (run,) = json.loads(text)["runs"]
    return text, run


def test_a_rule_has_what_github_requires_and_names_no_file_of_ours(tmp_path: Path) -> None:
    _, run = log_of(tmp_path)
    for rule in run["tool"]["driver"]["rules"]:
        for name in ("shortDescription", "fullDescription", "help"):
            assert 0 < len(rule[name]["text"]) <= 1024, (rule["id"], name)
            assert "docs/" not in rule[name]["text"]
        uri = urlsplit(rule["helpUri"])
        assert (uri.scheme, bool(uri.netloc)) == ("https", True)
        assert rule["defaultConfiguration"]["level"] in {"note", "warning", "error"}


def test_a_name_that_is_no_text_costs_no_report(tmp_path: Path) -> None:
    (tmp_path / "main.tf.json").write_text(
        '{"module": {"old\\ud800\\u001b[31m": {"source": "a/b/c", "version": "1.0.0"},'
        ' "new": {"source": "a/b/c", "version": "1.1.0"}, "\\ud800": {"source": "a/b/c"}}}',
        encoding="utf-8",
    )
    text, run = log_of(tmp_path)
    assert text.isascii()
    messages = {result["ruleId"]: result["message"]["text"] for result in run["results"]}
    assert messages["behind-newest"].startswith(
        "module old\\ud800\\x1b[31m is 1 release behind the newest in use, 1.1.0"
    )
    assert "\\ud800" in messages["floating-pin"]
