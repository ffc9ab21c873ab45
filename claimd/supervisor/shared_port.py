"""Which workers on one port get new connections: those that answer.

With SO_REUSEPORT the kernel spreads connections over all listening sockets; those for a worker that hangs, or that is
being restarted, wait in its accept queue. A program of a few instructions that is attached to these sockets
(SO_ATTACH_REUSEPORT_CBPF, see socket(7)) makes the kernel choose among the workers that answer. Queued connections are
not lost: the worker accepts them when it answers again, or its successor does. (Shutting a listener down would exclude
it, too, but resets the connections in its queue, and the worker's own accept() then fails.)
"""

import ctypes
import socket
import struct
from collections.abc import Sequence

# Not in Python's module `socket`; the same on every architecture that Linux calls generic (x86, ARM, RISC-V, s390x).
_SO_ATTACH_REUSEPORT_CBPF = 51
_SO_DETACH_REUSEPORT_BPF = 68

# linux/bpf_common.h and linux/filter.h.
_LOAD_WORD, _MODULO, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x94, 0x15, 0x06
_RANDOM = 0xFFFFF000 + 56


class SharedPort:
    """The listening sockets of one port, one for each worker, in the order of their creation. At first none answers."""

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        self._listeners = listeners
        self._answering: set[int] = set()

    def set_answering(self, number: int, answering: bool) -> None:
        """Record whether a worker answers, and direct new connections accordingly: to all where all or none answer.

        A kernel without this option (not Linux, or before 4.6) keeps spreading connections over all workers.
        """
        (self._answering.add if answering else self._answering.discard)(number)
        if len(self._listeners) < 2:
            return
        try:
            if 0 < len(self._answering) < len(self._listeners):
                _attach(self._listeners[0], sorted(self._answering))
            else:
                self._listeners[0].setsockopt(socket.SOL_SOCKET, _SO_DETACH_REUSEPORT_BPF, 0)
        except OSError:
            # Nothing was attached, or the sockets are closed because claimd is stopping.
            return


def _attach(listener: socket.socket, chosen: Sequence[int]) -> None:
    """Make the kernel give each new connection to one of the sockets with these numbers, at random."""
    instructions = [(_LOAD_WORD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(chosen))]
    for remainder, number in enumerate(chosen[:-1]):
        instructions += [(_JUMP_IF_EQUAL, 0, 1, remainder), (_RETURN, 0, 0, number)]
    instructions.append((_RETURN, 0, 0, chosen[-1]))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(instructions), ctypes.addressof(kept))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)
