"""`make demo-drift`: portal drift from end to end, with the real Terraform and a cloud that is a file.

Three markets are deployed and recorded as a pipeline would. Then somebody clicks in the portal. No record knows of it, so
`trueup reconcile` finds every stack healthy; `trueup drift check` plans what was deployed, finds the click, names it and queues
its heal; `trueup drift heal` undoes it, and the records are healthy still. Then the same click comes three times more, and the
third is not undone any more: somebody is putting it back, and a person has to find out who.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.world.sim_cloud import make_sim_cloud, using_azsim

MARKETS = ("de", "fr", "uk")
STACK = "network"
RULE = "azsim_network_security_rule.ssh-de"
MORE_CLICKS = 3
HEAL_MODE = "HEAL_MODE"
WHERE_TRUEUP_IS = str(Path(sys.executable).parent)

MAIN_TF = """
resource "azsim_network_security_rule" "ssh" {{
  name                        = "ssh-{market}"
  resource_group_name         = "rg-{market}"
  network_security_group_name = "hub"
  access                      = "Deny"
  priority                    = 100
}}

resource "azsim_key_vault" "main" {{
  name                = "kv-{market}"
  resource_group_name = "rg-{market}"
}}
"""


def main() -> None:
    if shutil.which("terraform") is None:
        sys.exit("make demo-drift needs Terraform on the PATH: https://developer.hashicorp.com/terraform/install")
    started = time.monotonic()
    # Short, since providers open sockets below it.
    with tempfile.TemporaryDirectory(prefix="tu-") as made:
        folder = Path(made)
        cloud = make_sim_cloud(folder / "cloud")
        estate = folder / "estate"
        estate.mkdir()
        environment = os.environ | cloud.environment
        environment["PATH"] = f"{WHERE_TRUEUP_IS}{os.pathsep}{os.environ['PATH']}"

        say(f"Three markets are deployed by Terraform, and recorded by their pipelines ({estate})")
        with ThreadPoolExecutor(len(MARKETS)) as pool:
            list(pool.map(lambda market: run_pipeline(folder, estate, market, environment), MARKETS))

        say("02:14, in the portal: somebody opens the door in Germany, and tells nobody")
        cloud.change(RULE, access="Allow")

        say("The records still agree: no pipeline drift")
        trueup(f"reconcile --estate {estate} --market de", environment)

        say("A plan of what was deployed sees it: portal drift")
        trueup(f"drift check --estate {estate}", environment)

        say("By itself trueup applies nothing. With HEAL_MODE=on it may, and what was found is queued ...")
        environment[HEAL_MODE] = "on"
        trueup(f"drift check --estate {estate} --market de --queue", environment)

        say("... and healed: judged again, planned again under Terraform's lock, applied, and planned once more")
        trueup(f"drift heal --estate {estate}", environment)
        trueup(f"reconcile --estate {estate} --market de", environment)

        say("But somebody puts it back, and again, and again")
        for _ in range(MORE_CLICKS):
            cloud.change(RULE, access="Allow")
            trueup(f"drift check --estate {estate} --market de --queue", environment, shown=False)
            trueup(f"drift heal --estate {estate}", environment)

        say("Three times is a quarrel and no slip: nothing is applied any more, and a person is to look")
        trueup(f"drift holds --estate {estate}", environment)
        trueup(f"drift history --estate {estate} --market de", environment)
    print(f"\n{time.monotonic() - started:.0f} s; the folder is gone again.")


def run_pipeline(folder: Path, estate: Path, market: str, environment: dict[str, str]) -> None:
    """What a pipeline does: `terraform apply`, then `trueup record`."""
    deploy(folder, estate, market, environment)
    record(folder, estate, market, environment)


def deploy(folder: Path, estate: Path, market: str, environment: dict[str, str]) -> None:
    root = folder / market
    root.mkdir()
    state = estate / "tfstate" / market / f"{STACK}.tfstate"
    backend = f'terraform {{\n  backend "local" {{\n    path = "{state}"\n  }}\n}}\n'
    (root / "backend.tf").write_text(backend, encoding="utf-8")
    (root / "main.tf").write_text(using_azsim() + MAIN_TF.format(market=market), encoding="utf-8")
    run(["terraform", f"-chdir={root}", "init", "-input=false"], environment, quiet=True)
    run(["terraform", f"-chdir={root}", "apply", "-input=false", "-auto-approve"], environment, quiet=True)


def record(folder: Path, estate: Path, market: str, environment: dict[str, str]) -> None:
    subscription = f"--subscription-id 00000000-0000-0000-0000-00000000000{MARKETS.index(market) + 1}"
    where = f"--estate {estate} --bundle {folder / market} --state-key {market}/{STACK}.tfstate"
    command = f"trueup record --market {market} --stack {STACK} {where} {subscription} --release 2026.11.3"
    run(shlex.split(command), environment, quiet=True)


def trueup(arguments: str, environment: dict[str, str], *, shown: bool = True) -> None:
    mode = f"{HEAL_MODE}={environment[HEAL_MODE]} " if HEAL_MODE in environment else ""
    # Flushed, as what the command says goes past this process's own buffer.
    print(f"\n$ {mode}trueup {arguments}", flush=True)
    run(["trueup", *shlex.split(arguments)], environment, quiet=not shown)


def run(command: list[str], environment: dict[str, str], *, quiet: bool) -> None:
    """Raises where it failed; a check that found something exits with 2, and has not."""
    done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE if quiet else None)
    if done.returncode not in {0, 2}:
        sys.exit(f"{shlex.join(command)} failed")


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


if __name__ == "__main__":
    main()
