"""Reads the JSON that Terraform leaves in a root module's ``.terraform``."""

import stat
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from records.errors import BundleError

DATA_FOLDER: Final = ".terraform"

Parsed = TypeVar("Parsed", bound=BaseModel)


class LeftByTerraform(BaseModel):
    """The fields that are needed of a file; what else is in it is not looked at."""

    model_config = ConfigDict(frozen=True, strict=True)


def parsed(model: type[Parsed], path: Path) -> Parsed | None:
    """What Terraform wrote there; None where there is nothing. No message holds its values.

    Raises:
        BundleError: it cannot be read.
    """
    content = content_of(path)
    try:
        return model.model_validate_json(content) if content else None
    except ValidationError:
        raise BundleError(f"{path}: it is not the JSON that Terraform writes. Run `terraform init` again.") from None


def content_of(path: Path) -> bytes | None:
    """Raises:
    BundleError: it cannot be read.
    """
    try:
        if stat.S_ISFIFO(path.stat().st_mode):
            raise BundleError(f"{path}: it is a pipe, which nobody may ever write to. Run `terraform init` again.")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BundleError(
            f"{path}: it cannot be read ({error.strerror}). Let the user who runs trueup read it, or run "
            "`terraform init` again."
        ) from None
