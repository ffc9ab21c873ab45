"""Which workers on one port get new connections: those that answer.

With SO_REUSEPORT the kernel deals connections to all listening sockets alike; a worker that hangs, or is being started
again, keeps its share, which waits in its queue. A program of a few instructions that is attached to these sockets
(SO_ATTACH_REUSEPORT_CBPF, see socket(7)) has the kernel choose among the workers that answer. Nothing that has queued
is lost: the worker takes it when it answers again, or its successor does. (To shut a listener down would take it out,
too, but resets what is in its queue, and the worker's own accept() fails when it wakes up.)
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
    """The listening sockets of one port, one a worker, in the order in which they were made. At first none answers."""

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        self._listeners = listeners
        self._answering: set[int] = set()

    def set_answering(self, number: int, answering: bool) -> None:
        """The worker of that number answers, or does not. Where none does, or all do, the kernel chooses by itself.

        A kernel that cannot do this (not Linux's own, or before 4.6) goes on dealing to all of them.
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
            # Nothing was attached, or it is closed as all is being stopped.
            return


def _attach(listener: socket.socket, chosen: Sequence[int]) -> None:
    """Have the kernel give each new connection to one of the sockets with these numbers, at random."""
    instructions = [(_LOAD_WORD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(chosen))]
    for remainder, number in enumerate(chosen[:-1]):
        instructions += [(_JUMP_IF_EQUAL, 0, 1, remainder), (_RETURN, 0, 0, number)]
    instructions.append((_RETURN, 0, 0, chosen[-1]))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(instructions), ctypes.addressof(kept))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)
