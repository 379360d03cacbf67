"""What Terraform calls this process in its locks: ``user@host``, as its own process of the same user on the same machine.

Source: hashicorp/terraform ``internal/states/statemgr/locker.go``, ``NewLockInfo``: Go's ``user.Current().Username`` and
``os.Hostname()``, each of them empty where it cannot be told. The user is that of the password file: Terraform gets no USER.
"""

import os
import socket
import sys


def own_name() -> str:
    """The ``Who`` of locks that Terraform takes for us."""
    return f"{_user()}@{socket.gethostname()}"


if sys.platform == "win32":

    def _user() -> str:
        r"""``DOMAIN\name``."""
        return f"{os.environ.get('USERDOMAIN', '')}\\{os.environ.get('USERNAME', '')}"
else:
    import pwd

    def _user() -> str:
        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return ""
