"""Which files of a folder are in its bundle: trees are written as they are on disk, bundles as the names in them."""

import errno
import json
import os
import random
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapters.bundle_files import files_of_bundle
from records.errors import BundleError

SECRET = "s3cr3t"

STATE = '{"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "a"}'
PLAN = '{"format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {}}'


def grow(top: Path, tree: Mapping[str, str]) -> None:
    for name, content in tree.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def names(folder: Path, *variable_files: Path) -> list[str]:
    return [file.name for file in files_of_bundle(folder, variable_files=variable_files).files]


def manifest(**folders: str) -> str:
    """A manifest of modules, each with its folder and a source that says no more."""
    records = [{"Key": key, "Source": f"./{key}", "Dir": folder} for key, folder in folders.items()]
    return json.dumps({"Modules": [{"Key": "", "Source": "", "Dir": "."}, *records]})


INITIALISED = {"main.tf": "", ".terraform/terraform.tfstate": ""}
MANIFEST = ".terraform/modules/modules.json"


@pytest.mark.parametrize(
    ("tree", "left_out"),
    [
        pytest.param({"scripts/a.sh": "", "files/b.json": "{}", ".tflint.hcl": ""}, [], id="any file below goes in"),
        pytest.param(
            {".terraform.lock.hcl": "", ".terraform/providers/x/y": "", ".terraform/environment": "prod"},
            [".terraform/providers/x/y", ".terraform/environment"],
            id="nothing of .terraform",
        ),
        pytest.param({".git/config": "", "a/.git": "gitdir: b"}, [".git/config", "a/.git"], id="nothing of git"),
        pytest.param(
            {"terraform.tfstate": "", "a/old.tfstate.backup": "", ".terraform.tfstate.lock.info": ""},
            ["terraform.tfstate", "a/old.tfstate.backup", ".terraform.tfstate.lock.info"],
            id="no state by its name",
        ),
        pytest.param({"pulled.json": STATE, "pulled": STATE}, ["pulled.json", "pulled"], id="no state by what it holds"),
        pytest.param({"tfplan": "", "a/de.tfplan": ""}, ["tfplan", "a/de.tfplan"], id="no plan by its name"),
        pytest.param({"shown.json": PLAN}, ["shown.json"], id="no plan's JSON"),
        pytest.param({"crash.log": "", "crash.1.log": ""}, ["crash.log", "crash.1.log"], id="no log of a crash"),
        pytest.param(
            {".terraformrc": "", "terraform.rc": "", ".tofurc": ""},
            [".terraformrc", "terraform.rc", ".tofurc"],
            id="no credentials of the command line",
        ),
        pytest.param({".gitignore": "*.key\n", "a.key": "", "b/a.key": ""}, ["a.key", "b/a.key"], id="no ignored file"),
        pytest.param({".gitignore": "out/\n!out/a\n", "out/a": ""}, ["out/a"], id="nothing in an ignored folder"),
        pytest.param({"a/.gitignore": "/x\n", "a/x": "", "x": "", "a/b/x": ""}, ["a/x"], id="a .gitignore is of its folder"),
        pytest.param({".gitignore": "x\n", "a/.gitignore": "!x\n", "x": "", "a/x": ""}, ["x"], id="the nearer .gitignore wins"),
        pytest.param({".gitignore": "*\n!*/\n!*.tf\n!.git*", "a/x": "", "a/x.tf": ""}, ["a/x"], id="only what is brought back"),
        pytest.param({".trueupignore": "docs/\n", "docs/a.md": ""}, ["docs/a.md"], id=".trueupignore has the same syntax"),
        pytest.param({".gitignore": "gen/\n", ".trueupignore": "!gen/\n", "gen/a": ""}, [], id=".trueupignore has a say"),
        pytest.param(
            {".gitignore": "*.key\n", ".trueupignore": "!keys/\n", "keys/a.key": "", "keys/a.pub": ""},
            ["keys/a.key"],
            id="a folder that is brought back brings none of the files back that are ignored by themselves",
        ),
        pytest.param({".trueupignore": "!*.tfstate\n", "a.tfstate": ""}, ["a.tfstate"], id="no rule brings a state back"),
        pytest.param({".gitignore": ".terraform.lock.hcl\n", ".terraform.lock.hcl": ""}, [], id="the lock file always goes in"),
        pytest.param({".gitignore": "\xe9*\r\n", "\xe9t\xe9": "", "e\u0301": ""}, ["\xe9t\xe9"], id="names are not normalised"),
    ],
)  # fmt: skip
def test_the_files_of_a_root_module(tree: dict[str, str], left_out: list[str], tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": ""} | tree)
    assert names(tmp_path) == sorted({"main.tf", *tree} - set(left_out))


def test_a_gitignore_above_counts_up_to_the_top_of_the_repository(tmp_path: Path) -> None:
    grow(tmp_path, {".gitignore": "main.tf\n", "repo/.git/HEAD": "", "repo/.gitignore": "*.key\n/stacks/a/b\n"})
    grow(tmp_path / "repo/stacks/a", {"main.tf": "", "x.key": "", "b": "", "c": ""})
    assert names(tmp_path / "repo/stacks/a") == ["c", "main.tf"]


RULES = (
    "*", "*/", "!*/", "**/", "a", "a/", "/a", "a/b", "a/**", "**/a", "a/*/b", "a*/", "!a", "!a/", "!/a", "!b", "**/b/**",
    "!sub/a", "*.tf", "!*.tf", "x.t?", "[ab]", "[!a]", "/*", "\\!a", "# a", "a ", "a\\ ", "/", "",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_ignore_files_are_read_as_git_reads_them(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    folders = ["", "a/", "b/", "sub/", "a/b/", "a/sub/", "sub/a/", "sub/a/b/"]
    grow(
        tmp_path, {f"{folder}{name}": "" for folder in folders for name in ("x.tf", "x.ts", "!a", "a ")} | {"keep": ""}
    )
    for folder in ("", chance.choice(folders[1:])):
        grow(tmp_path, {f"{folder}.gitignore": "\n".join([*chance.choices(RULES, k=4), "!/keep"])})
    git = ("git", "-C", str(tmp_path), "-c", "core.excludesFile=/dev/null")
    subprocess.run([*git, "init", "-q"], check=True)
    listed = subprocess.run([*git, "ls-files", "-z", "-o", "--exclude-standard"], check=True, capture_output=True)
    assert names(tmp_path) == sorted(listed.stdout.decode().split("\0")[:-1])


def test_an_ignore_file_that_cannot_be_understood_is_an_error(tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", ".gitignore": "[z-a]\n"})
    with pytest.raises(BundleError, match=r"\.gitignore: it cannot be read"):
        files_of_bundle(tmp_path)


@pytest.mark.parametrize(
    "name", ["a.tf", "a.tf.json", "a.tofu", "terraform.tfvars", "terraform.tfvars.json", "x.auto.tfvars"]
)
def test_a_file_that_terraform_loads_and_git_ignores_is_told(name: str, tmp_path: Path) -> None:
    grow(tmp_path, INITIALISED | {name: "", ".gitignore": f"# mine\n{name}\n"})
    bundle = files_of_bundle(tmp_path)
    assert name not in [file.name for file in bundle.files]
    (warning,) = bundle.warnings
    assert warning == (
        f"{name}, which Terraform loads, is not in the bundle: the line {name!r} of {tmp_path}/.gitignore excludes it. "
        f"If it holds no secret, add the line `!/{name}` to {tmp_path}/.trueupignore."
    )
    grow(tmp_path, {".trueupignore": f"!/{name}\n"})
    bundle = files_of_bundle(tmp_path)
    assert (name in [file.name for file in bundle.files], bundle.warnings) == (True, ())


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param({".trueupignore": "a.tf\n", "a.tf": ""}, id="who says so to trueup knows"),
        pytest.param({".gitignore": "a.tf\n", "examples/a.tf": ""}, id="Terraform does not load it from there"),
        pytest.param({".gitignore": "notes.md\n", "notes.md": ""}, id="Terraform does not load it"),
    ],
)
def test_other_files_are_left_out_without_a_word(tree: dict[str, str], tmp_path: Path) -> None:
    grow(tmp_path, INITIALISED | tree)
    assert files_of_bundle(tmp_path).warnings == ()


def test_a_folder_in_which_init_never_ran_is_told(tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": ""})
    (warning,) = files_of_bundle(tmp_path).warnings
    assert warning.startswith("`terraform init` did not run")


def test_providers_without_a_lock_file_are_an_error(tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", ".terraform/providers/registry.terraform.io/a": ""})
    with pytest.raises(BundleError, match=r"\.terraform\.lock\.hcl: it is not there"):
        files_of_bundle(tmp_path)
    grow(tmp_path, {".terraform.lock.hcl": ""})
    assert names(tmp_path) == [".terraform.lock.hcl", "main.tf"]


HASH = '"h1:xLZ1JSyR84tJTjQSU4eyrLTrRRcgFdTdWCSsw35Xhxo=",'
AZURERM = 'provider "registry.terraform.io/hashicorp/azurerm" {{\n  version = "4.0.0"\n{}}}\n'


@pytest.mark.parametrize(
    "lock",
    [
        pytest.param("# Written by terraform init: provider\n", id="it names no provider"),
        pytest.param(AZURERM.format(f"  hashes = [\n    {HASH}\n  ]\n"), id="as Terraform writes it"),
        pytest.param(AZURERM.format('hashes=["zh:00"]').replace("\n", "\r\n"), id="as somebody else may"),
    ],
)
def test_a_lock_file_with_a_hash_of_each_provider_goes_in(lock: str, tmp_path: Path) -> None:
    grow(tmp_path, {".terraform.lock.hcl": lock})
    assert names(tmp_path) == [".terraform.lock.hcl"]


@pytest.mark.parametrize(
    "lock",
    [
        pytest.param(AZURERM.format(""), id="there are none"),
        pytest.param(AZURERM.format("  hashes = []\n"), id="the list is empty"),
        pytest.param(AZURERM.format(f"  hashes = [\n    # {HASH}\n  ]\n"), id="they are in a comment"),
        pytest.param(AZURERM.format(f"  /* hashes = [{HASH}] */\n"), id="all of it is in a comment"),
        pytest.param(AZURERM.format('  hashes = ["h9:00"]\n'), id="Terraform does not know them"),
        pytest.param(AZURERM.format(f"  constraints = {HASH}\n"), id="they are of something else"),
        pytest.param(
            AZURERM.replace("azurerm", "random").format(f"hashes = [{HASH}]\n") + AZURERM.format(""),
            id="another provider has some",
        ),
    ],
)
def test_a_provider_that_the_lock_file_has_no_hash_of_is_an_error_that_names_it(lock: str, tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", ".terraform.lock.hcl": lock})
    with pytest.raises(BundleError) as raised:
        files_of_bundle(tmp_path)
    assert str(raised.value).startswith(
        f"{tmp_path}/.terraform.lock.hcl: it has no hash of registry.terraform.io/hashicorp/azurerm"
    )
    assert "Run `terraform providers lock`" in str(raised.value)


@pytest.mark.parametrize("lock", ['provider "a" {', "provider a {\n}", 'provider "a" { b {} }'])
def test_a_lock_file_that_cannot_be_read_is_an_error(lock: str, tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", ".terraform.lock.hcl": lock})
    with pytest.raises(BundleError, match="it is no lock file that can be read"):
        files_of_bundle(tmp_path)


def test_variable_files_are_named_to_be_loaded_last_and_in_their_order(tmp_path: Path) -> None:
    grow(tmp_path, {"root/main.tf": "", "root/zzz.auto.tfvars": "", "root/env/de.tfvars": "", "base.tfvars": ""})
    grow(tmp_path, {"more/a.json": "{}", "more/b.auto.tfvars": ""})
    given = [tmp_path / "base.tfvars", tmp_path / "root/env/de.tfvars", tmp_path / "more/a.json"]
    assert names(tmp_path / "root", *given, tmp_path / "more/b.auto.tfvars") == [
        "env/de.tfvars",
        "main.tf",
        "zzz.auto.tfvars",
        "~trueup-0-base.auto.tfvars",
        "~trueup-1-de.auto.tfvars",
        "~trueup-2-a.auto.tfvars.json",
        "~trueup-3-b.auto.tfvars",
    ]


def test_more_than_ten_variable_files_keep_their_order(tmp_path: Path) -> None:
    grow(tmp_path, {"root/main.tf": ""} | {f"{number}.tfvars": "" for number in range(11)})
    _main, *named = names(tmp_path / "root", *(tmp_path / f"{number}.tfvars" for number in range(11)))
    assert named == [f"~trueup-{number:02}-{number}.auto.tfvars" for number in range(11)]


@pytest.mark.parametrize("late", ["~~.auto.tfvars", "\xe9.auto.tfvars.json", "~trueup-0-de.auto.tfvars"])
def test_a_file_that_would_be_loaded_after_the_variable_files_is_an_error(late: str, tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", "de.tfvars": "", late: ""})
    assert late in names(tmp_path)
    with pytest.raises(BundleError, match=f"{late}: .*Rename it"):
        files_of_bundle(tmp_path, variable_files=[tmp_path / "de.tfvars"])


@pytest.mark.parametrize(
    ("tree", "given", "rule", "remedy"),
    [
        pytest.param(
            {"root/.gitignore": "*.tfvars\n"}, "root/de.tfvars", "root/.gitignore", "`!/de.tfvars` to {}/root/.trueupignore",
            id="git ignores it",
        ),
        pytest.param(
            {".gitignore": "vars/\n"}, "root/vars/de.tfvars", ".gitignore", "`!/vars` to {}/root/.trueupignore",
            id="git ignores its folder",
        ),
        pytest.param(
            {"root/.trueupignore": "*.tfvars\n"}, "root/de.tfvars", "root/.trueupignore",
            "`!/de.tfvars` to {}/root/.trueupignore",
            id="trueup was told to ignore it",
        ),
        pytest.param(
            {".gitignore": "/vars\n"}, "vars/de.tfvars", ".gitignore", "`!/vars` to {}/.gitignore",
            id="git ignores its folder outside the root module",
        ),
    ],
)  # fmt: skip
def test_a_variable_file_that_an_ignore_file_excludes_is_an_error(
    tree: dict[str, str], given: str, rule: str, remedy: str, tmp_path: Path
) -> None:
    grow(tmp_path, {".git/HEAD": "", "root/main.tf": "", given: ""} | tree)
    with pytest.raises(BundleError) as raised:
        files_of_bundle(tmp_path / "root", variable_files=[tmp_path / given])
    assert f"of {tmp_path}/{rule} excludes it" in str(raised.value)
    assert remedy.format(tmp_path) in str(raised.value)
    where, line = remedy.format(tmp_path).split(" to ")[::-1]
    with Path(where).open("a", encoding="utf-8") as file:
        file.write("\n" + line.strip("`"))
    assert "~trueup-0-de.auto.tfvars" in names(tmp_path / "root", tmp_path / given)


def test_a_link_to_an_ignored_variable_file_does_not_bring_it_in(tmp_path: Path) -> None:
    grow(tmp_path, {"root/main.tf": "", "root/secret.tfvars": "", "root/.gitignore": "secret.tfvars\n"})
    (tmp_path / "de.tfvars").symlink_to("root/secret.tfvars")
    with pytest.raises(BundleError, match="given as a variable file"):
        files_of_bundle(tmp_path / "root", variable_files=[tmp_path / "de.tfvars"])


def test_a_variable_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": ""})
    with pytest.raises(BundleError, match=r"de\.tfvars: there is no such file\. .*-var-file"):
        files_of_bundle(tmp_path, variable_files=[tmp_path / "de.tfvars"])


def test_fetched_modules_go_in_whole_and_nothing_else_of_terraform_s_own(tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", ".gitignore": ".terraform/\n", MANIFEST: manifest(hub=".terraform/modules/hub/sub")})
    grow(
        tmp_path / ".terraform/modules",
        {
            "hub/sub/main.tf": "",
            "hub/.gitignore": "*.bin\n",
            "hub/data/a.bin": "",
            "hub/.git/config": SECRET,
            "hub/examples/terraform.tfstate": "",
            "hub/examples/plan.json": PLAN,
            "abandoned/main.tf": "",
        },
    )
    assert names(tmp_path) == [
        ".gitignore",
        ".terraform/modules/hub/.gitignore",
        ".terraform/modules/hub/data/a.bin",
        ".terraform/modules/hub/sub/main.tf",
        MANIFEST,
        "main.tf",
    ]


def test_a_module_that_terraform_linked_to_goes_in_as_the_folder_it_is_and_without_what_is_ignored_there(
    tmp_path: Path,
) -> None:
    grow(tmp_path, {"root/main.tf": "", f"root/{MANIFEST}": manifest(hub=".terraform/modules/hub")})
    grow(tmp_path, {"srv/hub/main.tf": "", "srv/hub/.gitignore": "x\n", "srv/hub/x": SECRET})
    (tmp_path / "root/.terraform/modules/hub").symlink_to(tmp_path / "srv/hub")
    bundle = files_of_bundle(tmp_path / "root")
    assert bundle.root is None
    assert [file.name for file in bundle.files if "hub" in file.name] == [
        ".terraform/modules/hub/.gitignore",
        ".terraform/modules/hub/main.tf",
    ]


def test_modules_outside_move_the_root_module_to_a_folder_of_the_bundle(tmp_path: Path) -> None:
    grow(tmp_path, {".git/HEAD": "", ".gitignore": "*.key\n", "README.md": ""})
    grow(tmp_path, {"stacks/network/main.tf": "", "stacks/network/a.key": "", "stacks/other/main.tf": ""})
    grow(tmp_path, {"modules/hub/main.tf": "", "modules/hub/b.key": "", "modules/not-called/main.tf": ""})
    grow(tmp_path / "stacks/network", {MANIFEST: manifest(hub="../../modules/hub"), "../../de.tfvars": ""})
    bundle = files_of_bundle(tmp_path / "stacks/network", variable_files=[tmp_path / "de.tfvars"])
    assert bundle.root == "stacks/network"
    assert [file.name for file in bundle.files] == [
        "modules/hub/main.tf",
        f"stacks/network/{MANIFEST}",
        "stacks/network/main.tf",
        "stacks/network/~trueup-0-de.auto.tfvars",
    ]


def test_a_root_module_inside_the_module_it_calls_keeps_its_own_rules(tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", "examples/one/main.tf": "", "examples/one/notes": "", "examples/two/main.tf": ""})
    grow(tmp_path / "examples/one", {MANIFEST: manifest(it="../.."), ".trueupignore": "notes\n"})
    bundle = files_of_bundle(tmp_path / "examples/one")
    assert bundle.root == "examples/one"
    assert [file.name for file in bundle.files] == [
        f"examples/one/{MANIFEST}",
        "examples/one/.trueupignore",
        "examples/one/main.tf",
        "examples/two/main.tf",
        "main.tf",
    ]


def test_a_module_that_shares_no_folder_with_the_root_module_is_an_error(tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", MANIFEST: manifest(hub="/usr/share")})
    with pytest.raises(BundleError, match="shares no folder"):
        files_of_bundle(tmp_path)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        pytest.param(
            {MANIFEST: manifest(hub="modules/hub")},
            r"module hub: there is no folder modules/hub\. Delete .*terraform init",
            id="it is not there",
        ),
        pytest.param(
            {MANIFEST: manifest(hub="modules/hub"), "modules/hub/main.tf": "", ".gitignore": "modules/\n"},
            r"module hub: nothing of its folder modules/hub .*\.trueupignore",
            id="an ignore file excludes it",
        ),
        pytest.param(
            {MANIFEST: manifest(hub="a").replace("./hub", f"git::https://{SECRET}@h/r"), "a/main.tf": ""},
            r"module hub: its source holds a credential.*insteadOf",
            id="its source holds a token",
        ),
        pytest.param(
            {MANIFEST: manifest(hub="a").replace("./hub", f"git::ssh://git@h/r?sshkey={SECRET}"), "a/main.tf": ""},
            r"module hub: its source holds a credential.*insteadOf",
            id="its source holds a key",
        ),
    ],
)  # fmt: skip
def test_a_module_without_which_or_with_which_no_bundle_can_be_made(
    tree: dict[str, str], message: str, tmp_path: Path
) -> None:
    grow(tmp_path, {"main.tf": ""} | tree)
    with pytest.raises(BundleError, match=message) as raised:
        files_of_bundle(tmp_path)
    assert SECRET not in str(raised.value)


def test_a_link_inside_goes_in_as_what_it_points_to(tmp_path: Path) -> None:
    grow(tmp_path, {"main.tf": "", "shared/a.tf": "", "shared/deep/b": "", "shared/.gitignore": "c\n", "shared/c": ""})
    (tmp_path / "linked.tf").symlink_to("shared/a.tf")
    (tmp_path / "folder").symlink_to(tmp_path / "shared")
    (tmp_path / "shared/deep/again.tf").symlink_to("../../linked.tf")
    bundle = files_of_bundle(tmp_path)
    sources = {file.name: file.source for file in bundle.files}
    assert sorted(name for name in sources if name.startswith("folder/")) == [
        "folder/.gitignore",
        "folder/a.tf",
        "folder/deep/again.tf",
        "folder/deep/b",
    ]
    assert {sources[name] for name in ("linked.tf", "folder/a.tf", "folder/deep/again.tf")} == {
        tmp_path / "shared/a.tf"
    }


def test_a_link_into_a_module_outside_goes_in(tmp_path: Path) -> None:
    grow(tmp_path, {"root/main.tf": "", "hub/main.tf": "", f"root/{MANIFEST}": manifest(hub="../hub")})
    (tmp_path / "root/hub").symlink_to("../hub")
    assert "root/hub/main.tf" in names(tmp_path / "root")


@pytest.mark.parametrize(
    ("links", "message"),
    [
        pytest.param({"a": "../outside"}, "of which nothing goes into the bundle", id="it leads out of the folder"),
        pytest.param(
            {"a": "/etc/hostname"}, "of which nothing goes into the bundle", id="it leads to the machine's files"
        ),
        pytest.param({"a": "ignored/x"}, "of which nothing goes into the bundle", id="it leads to what is ignored"),
        pytest.param({"a": "terraform.tfstate"}, "of which nothing goes into the bundle", id="it leads to a state"),
        pytest.param({"a": "nowhere"}, "to nothing, or itself", id="it leads nowhere"),
        pytest.param({"a": "b", "b": "a"}, "to nothing, or itself", id="two lead to each other"),
        pytest.param({"sub/a": ".."}, "to a folder that it is in", id="it leads to a folder that it is in"),
        pytest.param(
            {"sub/a": "../sub2", "sub2/b": "../sub"}, "to a folder that it is in", id="two folders hold each other"
        ),
    ],
)
def test_a_link_that_is_no_file_of_the_bundle_is_an_error(links: dict[str, str], message: str, tmp_path: Path) -> None:
    grow(tmp_path / "outside", {"x": SECRET})
    root = tmp_path / "root"
    grow(
        root,
        {"main.tf": "", ".gitignore": "ignored\n", "ignored/x": "", "sub/x": "", "sub2/x": "", "terraform.tfstate": ""},
    )
    for name, target in links.items():
        (root / name).symlink_to(target)
    with pytest.raises(BundleError, match=message) as raised:
        files_of_bundle(root)
    assert "it is a symbolic link" in str(raised.value)
    grow(root, {".trueupignore": "\n".join(links)})
    assert "main.tf" in names(root)


def test_a_pipe_or_a_socket_is_an_error_unless_it_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(tmp_path, {"main.tf": ""})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match=r"pipe: it is a pipe, a socket or a device"):
        files_of_bundle(tmp_path)
    (tmp_path / "pipe").unlink()
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")
        with pytest.raises(BundleError, match=r"sock: it is a pipe, a socket or a device"):
            files_of_bundle(tmp_path)
        grow(tmp_path, {".trueupignore": "sock\n"})
        assert names(tmp_path) == [".trueupignore", "main.tf"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (b"caf\xe9.tf", r"/caf\\xe9\.tf: its name is not UTF-8"),
        (b"a\nb", r"/a\\nb: its name holds a control character"),
        (b"a\x7fb", r"/a\\x7fb: its name holds a control character"),
        (b"a\\b", r"/a\\b: its name holds a backslash"),
        (b"c:a", r"/c:a: its name is an absolute path"),
        (b"\xff/a", r"/\\xff: its name is not UTF-8"),
    ],
    ids=["Latin-1", "a new line", "a delete", "a backslash", "a drive", "a folder's"],
)
def test_a_name_that_no_bundle_can_hold_is_an_error_that_shows_it_escaped(
    name: bytes, message: str, tmp_path: Path
) -> None:
    grow(tmp_path, {"main.tf": "", os.fsdecode(name): ""})
    with pytest.raises(BundleError, match=message) as raised:
        files_of_bundle(tmp_path)
    assert str(raised.value).isprintable()


def test_what_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    grow(tmp_path, {"main.tf": ""})
    monkeypatch.setattr("adapters.bundle_files.is_state_or_plan", refuse)
    with pytest.raises(BundleError, match=r"main\.tf: Permission denied\. Let the user who runs trueup read it"):
        files_of_bundle(tmp_path)


def test_a_folder_that_is_not_there_or_holds_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no such folder"):
        files_of_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="none of its files"):
        files_of_bundle(tmp_path)
