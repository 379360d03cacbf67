"""Reading folders and bundles: real files, in both syntaxes, whole and broken."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.bundle_zip import pack_bundle
from adapters.configuration_folders import Wanted, read_configuration, read_module
from pins.audit import audit
from pins.calls import ModuleCall, calls_of
from pins.configuration import BlockKind, Configuration, Origin, Trouble
from pins.firmness import Firmness, Reason
from pins.render.sarif import render_sarif
from records.errors import ConfigurationError

MIB = 1024 * 1024
EVERYTHING = frozenset(BlockKind)


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    return tmp_path / "repository"


def read(*places: Path, fetched: bool = False, kinds: frozenset[BlockKind] = EVERYTHING) -> Configuration:
    return read_configuration(places, Wanted(fetched=fetched, kinds=kinds, max_bundle_bytes=64 * MIB))


def calls(configuration: Configuration) -> dict[str, ModuleCall]:
    return {call.name: call for call in calls_of(configuration)}


def where(call: ModuleCall) -> str:
    return str(call.place)


def call(name: str, source: str, version: str | None = None) -> str:
    versioned = f'  version = "{version}"\n' if version else ""
    return f'module "{name}" {{\n  source = "{source}"\n{versioned}}}\n'


def test_a_call_is_at_the_line_that_decides_its_version(repository: Path) -> None:
    text = "# one\n" + call("git", "git::https://example.com/x?ref=v1.0.0") + call("reg", "a/b/c", "~> 1.0")
    put(repository / "de" / "main.tf", text)
    found = calls(read(repository / "de"))
    assert {name: where(one) for name, one in found.items()} == {"git": "de/main.tf:3", "reg": "de/main.tf:7"}


def test_every_module_below_a_folder_is_read_and_what_terraform_init_left_is_not(repository: Path) -> None:
    put(repository / "de" / "main.tf", call("own", "./child"))
    put(repository / "de" / "child" / "main.tf", call("nested", "a/b/c", "1.0.0"))
    put(repository / "de" / ".terraform" / "modules" / "x" / "main.tf", call("fetched", "a/b/c"))
    assert set(calls(read(repository))) == {"own", "nested"}


def test_a_local_module_outside_the_folder_is_followed_inside_the_repository(repository: Path) -> None:
    put(repository / "stacks" / "de" / "main.tf", call("net", "../../modules/net"))
    put(repository / "modules" / "net" / "main.tf", call("deeper", "../deep"))
    put(repository / "modules" / "deep" / "main.tf", call("floats", "a/b/c", ">= 1"))
    put(repository / "modules" / "other" / "main.tf", call("not_called", "a/b/c"))
    found = calls(read(repository / "stacks"))
    assert {name: one.pin.firmness for name, one in found.items()} == {
        "net": Firmness.LOCAL,
        "deeper": Firmness.LOCAL,
        "floats": Firmness.FLOATING,
    }
    assert where(found["floats"]) == "modules/deep/main.tf:3"


def test_a_local_module_outside_the_repository_is_not_followed_and_not_taken_for_pinned(repository: Path) -> None:
    put(repository.parent / "elsewhere" / "main.tf", call("x", "a/b/c"))
    put(repository / "main.tf", call("out", "../elsewhere"))
    found = calls(read(repository))
    assert set(found) == {"out"}
    assert found["out"].pin.reason is Reason.OUTSIDE_REPOSITORY


def test_a_local_module_that_is_not_there_is_named_at_its_line(repository: Path) -> None:
    put(repository / "main.tf", call("gone", "./gone"))
    (unread,) = read(repository).unread
    assert (unread.trouble, unread.path, unread.line) == (Trouble.MISSING_MODULE, "main.tf", 2)
    assert "./gone" in unread.why or "gone" in unread.why


def test_json_syntax_is_read_with_its_lines(repository: Path) -> None:
    put(
        repository / "main.tf.json",
        '{\n  "//": "a comment",\n  "module": {\n    "kv": {\n      "source": "a/b/c",\n      "version": "~> 1.0"\n    },\n'
        '    "list": [{"source": "git::https://example.com/x?ref=v1.0.0"}],\n'
        '    "computed": {"source": "${var.x}"},\n    "escaped": {"source": "./$${x}"}\n  },\n'
        '  "resource": [{"azurerm_key_vault": {"this": {"name": "x"}}}]\n}\n',
    )
    configuration = read(repository)
    found = calls(configuration)
    assert {name: (one.place.line, one.pin.reason) for name, one in found.items()} == {
        "kv": (6, Reason.VERSION_RANGE),
        "list": (8, Reason.VERSION_TAG),
        "computed": (9, Reason.NOT_LITERAL),
        "escaped": (10, Reason.INSIDE_REPOSITORY),
    }
    resources = [block for file in configuration.files for block in file.blocks if block.kind is BlockKind.RESOURCE]
    assert [(block.type, block.name, block.line) for block in resources] == [("azurerm_key_vault", "this", 12)]


def test_a_keyword_that_json_spells_with_escapes_is_found(repository: Path) -> None:
    put(repository / "main.tf.json", '{"\\u006dodule": {"x": {"source": "a/b/c"}}}')
    assert calls(read(repository))["x"].pin.reason is Reason.NO_VERSION


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("override.tf", (Reason.VERSION_RANGE, "de/override.tf:3")),
        ("x_override.tf", (Reason.VERSION_RANGE, "de/x_override.tf:3")),
        ("not_an_overrider.tf", None),
    ],
)
def test_an_override_file_is_merged_over_the_call(
    repository: Path, override: str, expected: tuple[Reason, str] | None
) -> None:
    put(repository / "de" / "main.tf", call("kv", "a/b/c", "1.0.0"))
    put(repository / "de" / override, 'module "kv" {\n\n  version = "~> 1.0"\n}\n')
    configuration = read(repository)
    if expected is None:
        # Terraform refuses a second call of the name, so both are told.
        assert [one.name for one in calls_of(configuration)] == ["kv", "kv"]
        return
    (found,) = calls_of(configuration)
    assert (found.pin.reason, where(found), found.source) == (*expected, "a/b/c")


def test_override_files_in_both_syntaxes_are_merged_in_the_order_of_their_names(repository: Path) -> None:
    put(repository / "main.tf", call("kv", "git::https://example.com/x?ref=v1.0.0"))
    put(repository / "a_override.tf", call("kv", "git::https://example.com/x?ref=v2.0.0"))
    put(repository / "b_override.tf.json", '{"module": {"kv": {"source": "git::https://example.com/x?ref=main"}}}')
    (found,) = calls_of(read(repository))
    assert (found.pin.pinned_to, where(found)) == ("main", "b_override.tf.json:1")


def test_a_local_source_that_is_overridden_is_not_looked_for(repository: Path) -> None:
    put(repository / "main.tf", call("kv", "./gone"))
    put(repository / "override.tf", call("kv", "./there"))
    put(repository / "there" / "main.tf", "")
    assert read(repository).unread == ()


def test_an_override_of_a_call_that_is_not_there_is_told_all_the_same(repository: Path) -> None:
    put(repository / "override.tf", call("ghost", "git::https://example.com/x?ref=main"))
    assert calls(read(repository))["ghost"].pin.reason is Reason.BRANCH


@pytest.mark.parametrize(
    ("name", "content", "trouble", "line"),
    [
        ("broken.tf", b'module "x" {\n  source = \n}\n', Trouble.BROKEN_HCL, 2),
        ("cut.tf", b'module "x" {\n  source = "a/b/c"\n', Trouble.BROKEN_HCL, None),
        ("labels.tf", b'module "x" "y" {\n}\n', Trouble.BROKEN_HCL, 1),
        ("no_label.tf", b"module {\n}\n", Trouble.BROKEN_HCL, 1),
        ("latin.tf", b'# module\n# \xe9\nmodule "x" {}\n', Trouble.NOT_UTF8, 2),
        ("utf16.tf", 'module "x" {}\n'.encode("utf-16"), Trouble.NOT_UTF8, 1),
        ("broken.tf.json", b'{"module": {\n "x": }}', Trouble.BROKEN_JSON, 2),
        ("list.tf.json", b"[]", Trouble.BROKEN_JSON, 1),
        ("text.tf.json", b'{"module": {\n"x": "y"}}', Trouble.BROKEN_JSON, 2),
        ("deep.tf.json", b'{"module":' + b"[" * 100_000, Trouble.BROKEN_JSON, None),
        ("null.tf.json", b'{"module": {"x": [null]}}', Trouble.BROKEN_JSON, 1),
    ],
)
def test_a_broken_file_is_named_and_the_rest_is_still_reported(
    repository: Path, name: str, content: bytes, trouble: Trouble, line: int | None
) -> None:
    put(repository / "main.tf", call("whole", "a/b/c", "1.0.0"))
    (repository / name).write_bytes(content)
    configuration = read(repository)
    (unread,) = configuration.unread
    assert (unread.path, unread.trouble) == (name, trouble)
    assert line is None or unread.line == line
    assert set(calls(configuration)) == {"whole"}


@pytest.mark.parametrize(
    "nested", ["(" * 5_000 + "1" + ")" * 5_000, "[" * 5_000 + "]" * 5_000, "{ a = " * 2_000 + "1" + "}" * 2_000]
)
def test_an_expression_that_is_nested_very_deep_costs_its_file_at_most(repository: Path, nested: str) -> None:
    put(repository / "main.tf", call("whole", "a/b/c", "1.0.0"))
    put(repository / "deep.tf", f'module "x" {{\n  source = "a/b/c"\n  y = {nested}\n}}\n')
    configuration = read(repository)
    assert {"whole"} <= set(calls(configuration))
    assert {one.path for one in configuration.unread} <= {"deep.tf"}
    assert ("x" in calls(configuration)) is not bool(configuration.unread)


def test_windows_line_ends_comments_and_a_byte_order_mark_are_read(repository: Path) -> None:
    text = '\ufeff// module "no" {\r\n/* module "no" {\r\n */\r\nmodule "x" { # module\r\n  source = (\r\n"a/b/c")\r\n}\r\n'
    put(repository / "main.tf", text)
    found = calls(read(repository))
    assert {name: one.pin.reason for name, one in found.items()} == {"x": Reason.NO_VERSION}


def test_10_mb_without_a_call_give_the_right_answer_and_with_one_a_named_error(repository: Path) -> None:
    line = 'locals { x = "of a generated file, of which there are many such lines" }\n'
    put(repository / "main.tf", call("whole", "a/b/c", "1.0.0"))
    put(repository / "generated.tf", line * (10 * MIB // len(line)))
    started = time.perf_counter()
    configuration = read(repository, kinds=frozenset({BlockKind.MODULE}))
    assert (set(calls(configuration)), configuration.unread) == ({"whole"}, ())
    put(repository / "generated.tf", line * (10 * MIB // len(line)) + call("late", "a/b/c"))
    configuration = read(repository)
    (unread,) = configuration.unread
    assert (unread.path, unread.trouble) == ("generated.tf", Trouble.TOO_LARGE)
    assert set(calls(configuration)) == {"whole"}
    assert time.perf_counter() - started < 30


def test_10_mb_of_json_are_read(repository: Path) -> None:
    filler = ",\n".join(f'"l{number}": "{"x" * 100}"' for number in range(90_000))
    put(repository / "main.tf.json", f'{{"locals": {{{filler}}},\n"module": {{"x": {{"source": "a/b/c"}}}}}}')
    assert (repository / "main.tf.json").stat().st_size > 10_000_000
    assert calls(read(repository))["x"].place.line == 90_001


def test_loops_of_links_end(repository: Path) -> None:
    put(repository / "de" / "main.tf", call("kv", "a/b/c", "1.0.0") + call("looped", "./loop"))
    (repository / "de" / "up").symlink_to("..")
    (repository / "de" / "here").symlink_to(".")
    (repository / "de" / "loop").symlink_to("loop")
    (repository / "de" / "looped.tf").symlink_to("looped.tf")
    configuration = read(repository)
    assert sorted((one.path, one.trouble) for one in configuration.unread) == [
        ("de/looped.tf", Trouble.SYMLINK_LOOP),
        ("de/main.tf", Trouble.MISSING_MODULE),
    ]
    assert len(list(calls_of(configuration))) == 2


def test_a_folder_behind_a_link_is_read_once_under_its_own_path(repository: Path) -> None:
    put(repository / "real" / "main.tf", call("kv", "a/b/c", "1.0.0"))
    (repository / "a_link").symlink_to("real")
    put(repository / "shared" / "main.tf", call("shared", "a/b/c", "1.0.0"))
    (repository / "stacks").mkdir()
    (repository / "stacks" / "z_link").symlink_to(repository / "shared")
    assert {name: where(one) for name, one in calls(read(repository)).items()} == {
        "kv": "real/main.tf:3",
        "shared": "shared/main.tf:3",
    }
    found = calls(read(repository / "stacks"))
    assert {name: where(one) for name, one in found.items()} == {"shared": "stacks/z_link/main.tf:3"}


@pytest.mark.parametrize("target", ["../outside", "/"])
def test_a_link_out_of_the_repository_is_told_and_not_followed(repository: Path, target: str) -> None:
    put(repository.parent / "outside" / "main.tf", call("outside", "a/b/c"))
    put(repository / "a" / "main.tf", call("kv", "a/b/c", "1.0.0") + call("out", "./out"))
    (repository / "a" / "out").symlink_to(repository.parent / "outside" if target != "/" else target)
    configuration = read(repository)
    assert [(one.path, one.trouble) for one in configuration.unread] == [("a/out", Trouble.OUTSIDE_REPOSITORY)]
    assert set(calls(configuration)) == {"kv", "out"}


def test_two_repositories_with_the_same_folders_are_kept_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / ".git").mkdir(parents=True)
        put(tmp_path / name / "de" / "main.tf", call("kv", f"a/{name}/c", "1.0.0"))
    put(tmp_path / "one" / "de" / "override.tf", 'module "kv" {\n  version = "~> 1.0"\n}\n')
    found = {one.source: one.pin.reason for one in calls_of(read(tmp_path / "one", tmp_path / "two"))}
    assert found == {"a/one/c": Reason.VERSION_RANGE, "a/two/c": Reason.EXACT_VERSION}


def test_folders_that_are_in_each_other_are_read_once(repository: Path) -> None:
    put(repository / "de" / "main.tf", call("kv", "a/b/c", "1.0.0"))
    put(repository / "de" / "broken.tf", "module {")
    configuration = read(repository, repository / "de", repository)
    assert (len(list(calls_of(configuration))), len(configuration.unread)) == (1, 1)


@pytest.mark.parametrize("source", [f"./{'a' * 300}", "./x\\u0000y", "./\\ud800", "./" + "a/" * 3000])
def test_a_path_that_no_file_system_has_is_a_module_that_is_not_there(repository: Path, source: str) -> None:
    put(repository / "main.tf", call("whole", "a/b/c", "1.0.0"))
    put(repository / "odd.tf.json", f'{{"module": {{\n"odd": {{"source": "{source}"}}}}}}')
    configuration = read(repository)
    (unread,) = configuration.unread
    assert (unread.path, unread.line, unread.trouble) == ("odd.tf.json", 2, Trouble.MISSING_MODULE)
    assert unread.why.encode()
    assert len(unread.why) < 400
    assert set(calls(configuration)) == {"whole", "odd"}
    assert "".join(render_sarif(audit(configuration))).isascii()


def test_a_number_of_very_many_digits_and_a_module_that_is_null_are_no_trouble(repository: Path) -> None:
    digits = "7" * 5_000
    put(
        repository / "main.tf.json",
        f'{{"locals": {{"n": {digits}}},\n'
        f'"module": {{"none": null, "kv": {{"source": "a/b/c", "count": {digits}}}}},\n'
        '"resource": null}',
    )
    configuration = read(repository)
    assert configuration.unread == ()
    assert {name: where(one) for name, one in calls(configuration).items()} == {"kv": "main.tf.json:2"}


def test_what_is_no_plain_file_is_named_and_not_read(repository: Path) -> None:
    put(repository / "main.tf", call("whole", "a/b/c", "1.0.0"))
    os.mkfifo(repository / "pipe.tf")
    (repository / "zero.tf").symlink_to("/dev/zero")
    with (repository / "sparse.tf").open("wb") as file:
        file.truncate(3 * 1024 * MIB)
    configuration = read(repository)
    assert [(one.path, one.trouble) for one in configuration.unread] == [
        ("pipe.tf", Trouble.UNREADABLE),
        ("sparse.tf", Trouble.TOO_LARGE),
        ("zero.tf", Trouble.UNREADABLE),
    ]
    assert set(calls(configuration)) == {"whole"}


def test_a_deploy_is_recorded_beside_a_pipe(repository: Path) -> None:
    put(repository / "main.tf", call("whole", "a/b/c", "1.0.0"))
    os.mkfifo(repository / "pipe.tf")
    assert set(calls(read_module(repository))) == {"whole"}


def unread_by_another_user(repository: Path) -> list[tuple[str, Trouble]]:
    """What is unread for a user who is not root, who reads everything."""
    if os.geteuid():
        return [(one.path, one.trouble) for one in read(repository).unread]
    inbound, outbound = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgid(65534)
            os.setuid(65534)
            told = "\n".join(f"{one.path} {one.trouble}" for one in read(repository).unread)
            os.write(outbound, told.encode())
        finally:
            os._exit(0)
    os.close(outbound)
    with os.fdopen(inbound) as file:
        told = file.read()
    os.waitpid(child, 0)
    return [(path, Trouble(trouble)) for path, trouble in (line.split(" ") for line in told.splitlines())]


@pytest.fixture
def open_repository() -> Iterator[Path]:
    """A repository in a folder that every user may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "repository" / ".git").mkdir(parents=True)
        yield Path(folder) / "repository"


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o444, ["shut/link", "shut/main.tf", "shut/within"]),
        (0o000, ["shut"]),
    ],
    ids=["names alone", "nothing"],
)
def test_a_folder_that_may_not_be_entered_is_told_once_and_ends_nothing(
    open_repository: Path, mode: int, told: list[str]
) -> None:
    shut = open_repository / "shut"
    put(open_repository / "main.tf", call("own", "./shut") + call("deeper", "./shut/within"))
    put(shut / "main.tf", call("kv", "a/b/c"))
    put(shut / "within" / "main.tf", call("nested", "a/b/c"))
    put(shut / "readme.md", "")
    (shut / "link").symlink_to("within")
    shut.chmod(mode)
    try:
        unread = unread_by_another_user(open_repository)
    finally:
        shut.chmod(0o755)
    assert sorted(unread) == sorted((path, Trouble.UNREADABLE) for path in {*told, "shut/within"})


def test_a_machine_that_starts_no_processes_gets_its_answer_all_the_same(repository: Path) -> None:
    filler = "".join(f'locals {{\n  v{number} = "module ${{var.x}}"\n}}\n' for number in range(600))
    for number in range(30):
        put(repository / f"s{number}" / "main.tf", call(f"m{number}", "a/b/c", "1.0.0") + f"# {number}\n" + filler)
    # Without a guard, each process that is started begins the script anew, and ends.
    script = put(
        repository.parent / "audit.py",
        "import sys\nfrom pathlib import Path\n"
        "from adapters.configuration_folders import Wanted, read_configuration\n"
        "found = read_configuration([Path(sys.argv[1])], Wanted(max_bundle_bytes=0))\n"
        "print(len(found.files), len(found.unread))\n",
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, str(script), str(repository)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "30 0\n"), run.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(repository: Path) -> None:
    put(repository / "main.tf", call("kv", "a/b/c")).chmod(0)
    (unread,) = read(repository).unread
    assert unread.trouble is Trouble.UNREADABLE


def test_what_editors_leave_is_passed_over(repository: Path) -> None:
    for name in (".hidden.tf", "main.tf~", "#main.tf#", "main.tfvars", "x.tftest.hcl"):
        put(repository / name, call("left", "a/b/c"))
    assert calls(read(repository)) == {}


def fetched_by_init(root: Path) -> None:
    """As `terraform init` leaves a module of a package that has others."""
    package = root / ".terraform" / "modules" / "kv"
    put(package / "keyvault" / "main.tf", call("roles", "a/b/c", "~> 1.0") + 'resource "azurerm_key_vault" "this" {}\n')
    put(package / "examples" / "main.tf", call("example", "a/b/c"))
    put(
        root / ".terraform" / "modules" / "modules.json",
        '{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"kv","Source":"git::https://example.com/m//keyvault?ref=v1.0.0",'
        '"Dir":".terraform/modules/kv/keyvault"}]}',
    )


def test_what_terraform_init_fetched_is_read_where_it_is_asked_for(repository: Path) -> None:
    put(repository / "main.tf", call("kv", "git::https://example.com/m//keyvault?ref=v1.0.0"))
    fetched_by_init(repository)
    assert set(calls(read(repository))) == {"kv"}
    found = calls(read(repository, fetched=True))
    assert {name: one.is_fetched for name, one in found.items()} == {"kv": False, "roles": True}


@pytest.mark.parametrize("folder", ["/x\\u0000y", ".terraform/modules/\\ud800"])
def test_a_manifest_that_names_no_folder_is_told_and_the_rest_is_still_reported(repository: Path, folder: str) -> None:
    put(repository / "main.tf", call("kv", "a/b/c", "1.0.0"))
    manifest = f'{{"Modules":[{{"Key":"kv","Source":"a/b/c","Dir":"{folder}"}}]}}'
    put(repository / ".terraform" / "modules" / "modules.json", manifest)
    configuration = read(repository, fetched=True)
    assert [(one.path, one.trouble) for one in configuration.unread] == [(".terraform", Trouble.UNREADABLE)]
    assert set(calls(configuration)) == {"kv"}


def test_a_bundle_is_read_with_the_modules_in_it(repository: Path) -> None:
    put(repository / "main.tf", call("kv", "git::https://example.com/m//keyvault?ref=v1.0.0") + call("own", "./child"))
    put(repository / "child" / "main.tf", call("nested", "git::https://example.com/n?ref=main"))
    fetched_by_init(repository)
    put(repository / ".terraform.lock.hcl", "")
    bundle = repository.parent / "de.zip"
    bundle.write_bytes(pack_bundle(repository, max_bytes=64 * MIB).content)
    shutil.rmtree(repository)
    configuration = read(bundle)
    found = calls(configuration)
    assert {name: one.pin.firmness for name, one in found.items()} == {
        "kv": Firmness.HARD,
        "own": Firmness.LOCAL,
        "nested": Firmness.FLOATING,
        "roles": Firmness.FLOATING,
    }
    assert where(found["nested"]) == f"{bundle.as_posix()}/child/main.tf:2"
    assert found["kv"].place.origin is Origin.BUNDLE


def test_a_broken_bundle_is_named_and_the_rest_is_still_reported(repository: Path) -> None:
    put(repository / "main.tf", call("kv", "a/b/c", "1.0.0"))
    bundle = repository.parent / "de.zip"
    bundle.write_bytes(b"PK\x03\x04 and no more")
    configuration = read(bundle, repository)
    (unread,) = configuration.unread
    assert (unread.path, unread.trouble, unread.origin) == (bundle.as_posix(), Trouble.UNREADABLE, Origin.BUNDLE)
    assert set(calls(configuration)) == {"kv"}


def test_a_place_that_is_not_there_is_an_error(repository: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        read(repository / "nowhere")


def test_many_files_are_read_side_by_side_as_one_by_one(repository: Path) -> None:
    filler = "".join(f'locals {{\n  v{number} = "module ${{var.x}}"\n}}\n' for number in range(600))
    for number in range(30):
        put(repository / f"s{number}" / "main.tf", call(f"m{number}", "a/b/c", "1.0.0") + f"# {number}\n" + filler)
    put(repository / "s7" / "broken.tf", "module {" + filler)
    configuration = read(repository)
    assert set(calls(configuration)) == {f"m{number}" for number in range(30)}
    assert [one.path for one in configuration.unread] == ["s7/broken.tf"]
