"""Which state a stack's records are about."""

from collections.abc import Callable

from recording.deploy import StateClaims
from records.errors import RefusedWriteError
from records.registry import Elsewhere, StateLocation

SameState = Callable[[StateLocation, StateLocation], bool]
"""Whether two locations name one blob."""


def chosen_location(
    stack: str, claims: StateClaims, registered: StateLocation | None, *, is_same_state: SameState
) -> StateLocation:
    """Where the state is that was deployed: as asked for, else as initialised, else as registered.

    Raises:
        RefusedWriteError: nobody says it; or the folder's backend is another blob than the registry's, which is a stack that
            was moved, or a pipeline that deploys to another stack's state.
    """
    if claims.asked_for:
        return claims.asked_for
    if isinstance(claims.initialised, Elsewhere):
        raise RefusedWriteError(
            f"{stack}: the folder's state is in {claims.initialised.where}, which is not in the estate. Deploy from the folder "
            "that `terraform init` set up for the estate's state, or pass --state-key."
        )
    if registered is None:
        if claims.initialised is None:
            raise RefusedWriteError(
                f"{stack}: nothing says where its state is. Pass --state-key, or --bundle with the folder in which "
                "`terraform init` ran."
            )
        return claims.initialised
    if claims.initialised and not is_same_state(claims.initialised, registered):
        raise RefusedWriteError(
            f"{stack}: the folder's backend is {claims.initialised.blob}{_where(claims.initialised)}, and the registry's entry "
            f"says {registered.blob}{_where(registered)}. If the stack was moved, pass --state-key; if not, its pipeline "
            "deploys to another stack's state."
        )
    return registered


def _where(location: StateLocation) -> str:
    parts = [part for part in (location.container, location.account_url) if part]
    return f" in {' of '.join(parts)}" if parts else ""
