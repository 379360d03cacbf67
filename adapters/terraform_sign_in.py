"""How the Terraform of one folder signs in to Azure: by its own settings, or with a hand from here (ADR 18)."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol


class SignIn(Protocol):
    """Of one folder, for as long as the folder is there."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What Terraform is told in place of what the platform told this process; empty where it signs in by itself."""

    @property
    def secrets(self) -> frozenset[str]:
        """What no message may hold, every token among it that was given out until now."""

    @property
    def failure(self) -> str | None:
        """Why Terraform was last refused a token that it has not been given since, a sentence with its remedy."""

    def next_command(self) -> None:
        """Forgets the failures of the last command, which the next one's end does not come from."""


OpenSignIn = Callable[[], AbstractAsyncContextManager[SignIn]]


class _ByItself:
    environment: Final[Mapping[str, str]] = {}
    secrets: Final[frozenset[str]] = frozenset()
    failure: Final[str | None] = None

    def next_command(self) -> None:
        pass


@asynccontextmanager
async def by_itself() -> AsyncIterator[SignIn]:
    """Terraform has what it needs: an identity of a machine, a federated token, `az login`, a secret."""
    yield _ByItself()
