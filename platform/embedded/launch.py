"""A tiny first step of every child: tie its life to its parent's, change user, then become the real program.

Run as a script by `child.py`: launch.py SIGNAL PARENT_PID UID GID -- PROGRAM [ARGUMENT ...].
It exists because these steps must happen between fork and exec, where a parent with threads may run no Python.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    death_signal, parent, uid, gid = (int(argument) for argument in sys.argv[1:5])
    program = sys.argv[6:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, because a change of user clears it. Kept across exec.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("The supervisor died before this process began.")
    os.execv(program[0], program)  # noqa: S606 - a list of arguments, no shell


main()
