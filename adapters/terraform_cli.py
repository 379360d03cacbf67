"""The only place that starts Terraform, or OpenTofu: plans what was deployed, in a folder that does not outlive the answer."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from adapters.bundle_root import OVERRIDE, root_of_bundle
from adapters.bundle_unpacking import unpack_bundle
from adapters.mapped_file import mapped
from adapters.private_folder import PrivateFolder, private_folder, remove_leftovers
from adapters.provider_cache import link_providers, share_providers
from adapters.terraform_backend import read_backend
from adapters.terraform_diagnostics import read_diagnostics, values_of_variables
from adapters.terraform_environment import own_environment, secrets_of, terraform_environment
from adapters.terraform_process import Limits, in_thread, run_to_end, why_no_answer
from adapters.terraform_program import startable_program
from adapters.terraform_progress import read_progress
from adapters.terraform_sign_in import OpenSignIn, SignIn, by_itself
from adapters.terraform_states import AzureStates, BackendConfiguration, FolderStates
from adapters.work_folder import may_pass, no_folder, work_folder
from records.errors import SettingsError
from records.registry import StateLocation
from records.terraform import (
    Applied,
    Cause,
    DeployedRoot,
    Diagnostic,
    FailedApply,
    MadePlan,
    NoAnswer,
    ReadT,
    Step,
)
from records.tracker import Bundle

_UNSAVED_STATE: Final = "errored.tfstate"
_MIB: Final = 1024**2
_CHANGES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformOptions:
    """How Terraform is run, each with what a service would give.

    ``binary`` is a name on the PATH or a path (``TF_BINARY``). ``work_folder`` is on a local disk with room for a plan and its
    JSON; the system's temporary folder where it is None. ``shared_providers`` is a folder of providers for all processes of one
    user; where it is None, each plan has them from where the CLI configuration says. ``also_passed`` are further environment
    variables that Terraform may see. ``sign_in`` is how it signs in to Azure.
    """

    states: AzureStates | FolderStates
    binary: str = "terraform"
    work_folder: Path | None = None
    shared_providers: Path | None = None
    also_passed: tuple[str, ...] = ()
    sign_in: OpenSignIn = by_itself
    command_limit_seconds: float = 1200.0
    grace_seconds: float = 60.0
    output_max_bytes: int = 64 * _MIB
    plan_json_max_bytes: int = 1024 * _MIB
    bundle_max_bytes: int = 64 * _MIB


class TerraformCli:
    """A `Planner` on the command line of Terraform 1.9 or later, or OpenTofu 1.7 or later (``init -json``)."""

    def __init__(self, options: TerraformOptions) -> None:
        self._options = options

    def deployed(
        self, *, content: bytes, bundle: Bundle, state: StateLocation, subscription_id: str | None = None
    ) -> AbstractAsyncContextManager[DeployedRoot]:
        return self._deployed(content, bundle, state, subscription_id)

    @asynccontextmanager
    async def _deployed(
        self, content: bytes, bundle: Bundle, state: StateLocation, subscription_id: str | None
    ) -> AsyncIterator[DeployedRoot]:
        options = self._options
        parent = work_folder(options.work_folder)
        try:
            binary = await in_thread(lambda: startable_program(options.binary, parent))
        except OSError as error:
            raise no_folder(parent, error) from None
        await in_thread(lambda: remove_leftovers(parent))
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(private_folder(parent, grace_seconds=options.grace_seconds))
            except OSError as error:
                raise no_folder(parent, error) from None
            async with options.sign_in() as sign_in:
                try:
                    module = await in_thread(
                        lambda: _unpacked(folder, binary, options, sign_in, content, bundle, state, subscription_id)
                    )
                except OSError as error:
                    if may_pass(error):
                        raise no_folder(parent, error) from None
                    raise
                yield module


def _unpacked(
    folder: PrivateFolder,
    binary: str,
    options: TerraformOptions,
    sign_in: SignIn,
    content: bytes,
    bundle: Bundle,
    state: StateLocation,
    subscription_id: str | None,
) -> "_Module":
    unpack_bundle(content, folder.path / "b", sha256=bundle.sha256, max_bytes=options.bundle_max_bytes)
    root = root_of_bundle(folder.path / "b", bundle.root or "")
    for name in "htco":
        (folder.path / name).mkdir(mode=0o700)
    backend = options.states.backend_of(state, workspaces=folder.path / "w")
    (root / OVERRIDE).write_text(json.dumps({"terraform": {"backend": {backend.type: {}}}}), encoding="utf-8")
    environment = terraform_environment(
        own_environment(),
        home=folder.path / "h",
        temporary=folder.path / "t",
        plugin_cache=folder.path / "c",
        workspace=backend.workspace,
        subscription_id=subscription_id,
        also=options.also_passed,
        sign_in=sign_in.environment,
    )
    secrets = secrets_of(environment, also=options.also_passed) | values_of_variables(root)
    return _Module(folder, binary, options, sign_in, root, backend, environment, secrets)


@dataclass(slots=True)
class _Module:
    """A `DeployedRoot`; its first plan initialises it."""

    folder: PrivateFolder
    binary: str
    options: TerraformOptions
    sign_in: SignIn
    root: Path
    backend: BackendConfiguration
    environment: dict[str, str] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    is_initialised: bool = False
    runs: int = 0

    async def plan(self, *, lock_timeout_seconds: int | None = None) -> MadePlan | NoAnswer:
        if not self.is_initialised:
            failed = await self._init()
            if failed:
                return failed
            self.is_initialised = True
        file = self.folder.path / "o" / f"{self.runs}.plan"
        lock = ["-lock=false"] if lock_timeout_seconds is None else [f"-lock-timeout={lock_timeout_seconds}s"]
        planned = await self._run(
            Step.PLAN,
            ["-json", "-input=false", *lock, "-detailed-exitcode", f"-out={file}"],
            good={0, _CHANGES},
        )
        if isinstance(planned, NoAnswer):
            return planned
        showed = await self._run(
            Step.SHOW, ["-json", str(file)], good={0}, output_max_bytes=self.options.plan_json_max_bytes
        )
        if isinstance(showed, NoAnswer):
            return showed
        return MadePlan(
            file=file,
            json_file=showed.stdout,
            has_changes=planned.status == _CHANGES,
            diagnostics=await self._said(planned),
        )

    async def read(self, plan: MadePlan, reader: Callable[[memoryview], ReadT]) -> ReadT:
        def read() -> ReadT:
            with mapped(plan.json_file) as document:
                return reader(document)

        return await in_thread(read)

    async def apply(self, plan: MadePlan, *, lock_timeout_seconds: int) -> Applied | FailedApply:
        if not plan.file.is_relative_to(self.folder.path):
            raise ValueError("the plan was made by another module")
        started_at = time.monotonic()
        done = await self._run(
            Step.APPLY,
            ["-json", "-input=false", f"-lock-timeout={lock_timeout_seconds}s", str(plan.file)],
            good={0},
        )
        seconds, stdout = time.monotonic() - started_at, self._outputs(Step.APPLY).stdout
        is_on_disk = isinstance(self.options.states, FolderStates)
        progress = await in_thread(lambda: read_progress(stdout, seconds=seconds, is_on_disk=is_on_disk))
        if isinstance(done, NoAnswer):
            return progress.failed(await self._with_its_state_saved(done, lock_timeout_seconds))
        return Applied(most_writes=progress.most_writes, diagnostics=await self._said(done))

    async def _with_its_state_saved(self, failed: NoAnswer, lock_timeout_seconds: int) -> NoAnswer:
        """Where the backend did not take the state, Terraform leaves it in its folder, which is about to go."""
        if not (self.root / _UNSAVED_STATE).exists():
            return failed
        lock = f"-lock-timeout={lock_timeout_seconds}s"
        pushed = await self._run(Step.STATE, ["push", lock, _UNSAVED_STATE], good={0})
        if not isinstance(pushed, NoAnswer):
            return failed
        return replace(
            failed,
            cause=Cause.STATE_LOST,
            message="`apply` made changes, and neither it nor `state push` could write the state. Import what it made.",
        )

    async def _init(self) -> NoAnswer | None:
        shared = self.options.shared_providers
        if shared:
            await in_thread(lambda: link_providers(shared, self.root))
        settings = [f"-backend-config={name}={value}" for name, value in self.backend.settings.items()]
        done = await self._run(
            Step.INIT, ["-json", "-input=false", "-reconfigure", "-lockfile=readonly", *settings], good={0}
        )
        if isinstance(done, NoAnswer):
            return done
        if read_backend(self.root) not in self.backend.as_read:
            return NoAnswer(
                step=Step.INIT,
                cause=Cause.OTHER_BACKEND,
                message="The bundle has `init` set up another state than the stack's. Take the override of its backend out, "
                "and deploy again.",
            )
        if shared:
            await in_thread(lambda: share_providers(self.folder.path / "c", shared))
        return None

    async def _run(
        self, step: Step, arguments: list[str], *, good: set[int], output_max_bytes: int | None = None
    ) -> "_Done | NoAnswer":
        self.runs += 1
        self.sign_in.next_command()
        done = self._outputs(step)
        limits = Limits(
            seconds=self.options.command_limit_seconds,
            grace_seconds=self.options.grace_seconds,
            output_bytes=output_max_bytes or self.options.output_max_bytes,
        )
        try:
            ended = await run_to_end(
                [self.binary, step, *arguments],
                working_folder=self.root,
                environment=self.environment,
                stdout=done.stdout,
                stderr=done.stderr,
                folder=self.folder,
                limits=limits,
            )
        except OSError as error:
            if may_pass(error):
                message = (
                    f"`{step}` could not be started ({error.strerror}). Give the machine more room, or run less on it."
                )
                return NoAnswer(step=step, cause=Cause.NO_ROOM, message=message)
            raise SettingsError(
                f"{self.binary}: it cannot be started ({error.strerror}). TF_BINARY names it."
            ) from None
        done.status = ended.status
        is_whole = ended.status in good and (ended.stopped is None or step is Step.APPLY)
        if is_whole:
            return done
        cause, message = why_no_answer(ended, limits)
        if cause is Cause.FAILED and self.sign_in.failure:
            cause, message = Cause.NOT_SIGNED_IN, f"failed: {self.sign_in.failure}"
        return NoAnswer(step=step, cause=cause, message=f"`{step}` {message}", diagnostics=await self._said(done))

    def _outputs(self, step: Step) -> "_Done":
        """Those of the command that was started last."""
        outputs = self.folder.path / "o"
        return _Done(outputs / f"{self.runs}.{step}.out", outputs / f"{self.runs}.{step}.err")

    async def _said(self, done: "_Done") -> tuple[Diagnostic, ...]:
        secrets = self.secrets | self.sign_in.secrets
        return await in_thread(lambda: read_diagnostics(done.stdout, done.stderr, secrets=secrets))


@dataclass(slots=True)
class _Done:
    """A command that ended, and the files that it wrote to."""

    stdout: Path
    stderr: Path
    status: int | None = None
