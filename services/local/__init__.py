"""The embedded stack: every server of the system as a process of this user, without Docker.

Where do I go to…
- see the order in which things start and stop? `stack.py`.
- change how one server is started or checked? `components.py`.
- change a setting of a server or of ours? `environment.py`.
- see what is remembered between two calls? `state.py`.
- start, recognise or stop a process? `processes.py`.
"""

from services.local.processes import StackError
from services.local.stack import Stack

__all__ = ["Stack", "StackError"]
