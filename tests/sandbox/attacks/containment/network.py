# ruff: noqa: E501 (a snippet keeps its lines)
"""Attacks that talk to somebody: sockets of every family, by every way to come by one."""

from __future__ import annotations

from containment.attack import Attack, Control

NETWORK = frozenset({"network"})

NETWORKING = [
    Attack(
        name="connect by TCP",
        needs=NETWORK,
        code="import socket; socket.create_connection(('127.0.0.1', PORTS['tcp']), 2).sendall(b'hello')",
    ),
    Attack(
        name="connect by TCP on IPv6",
        needs=NETWORK,
        control=Control.IF_SUPPORTED,
        code="import socket; socket.create_connection(('::1', PORTS.get('tcp6', 1)), 2)",
    ),
    Attack(
        name="send by UDP",
        needs=NETWORK,
        code="import socket; socket.socket(2, 2).sendto(b'hello', ('127.0.0.1', PORTS['udp']))",
    ),
    Attack(
        name="ask a name server",
        needs=NETWORK,
        code=r"""
        import socket, struct
        query = struct.pack('>6H', 7, 256, 1, 0, 0, 0) + b'\x06secret\x07example\x00\x00\x01\x00\x01'
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(query, ('127.0.0.1', PORTS['udp']))
        """,
    ),
    Attack(
        name="resolve a name",
        control=Control.IF_SUPPORTED,
        code="import socket; print('GOT', socket.getaddrinfo('localhost', 80)[0][4] if open('/etc/hosts') else 0)",
    ),
    Attack(
        name="connect to an abstract socket",
        needs=NETWORK,
        code="import socket; socket.socket(socket.AF_UNIX).connect(ABSTRACT)",
    ),
    Attack(
        name="connect to a socket by its path",
        needs=NETWORK,
        code="import socket; socket.socket(socket.AF_UNIX).connect(OUTSIDE + '/socket')",
    ),
    Attack(
        name="send through one end of a pair to an address",
        needs=NETWORK,
        code="""
        import socket
        for address in (OUTSIDE + "/dgram", ABSTRACT + "-d"):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
                try:
                    one, other = socket.socketpair(socket.AF_UNIX, kind)
                    one.sendto(b"hello", address)
                except OSError as error:
                    print(kind, error)
                try:
                    one.connect(address)
                    one.send(b"hello")
                except (OSError, NameError) as error:
                    print(kind, error)
        """,
    ),
    Attack(
        name="send messages through a pair to an address",
        needs=NETWORK,
        tools=True,
        code="""
        import socket
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = (b"\\x01\\x00" + OUTSIDE.encode() + b"/dgram\\x00")
        name = ctypes.create_string_buffer(address)
        data = ctypes.create_string_buffer(b"hello")
        vector = (ctypes.c_void_p * 2)(ctypes.addressof(data), 5)
        header = (ctypes.c_void_p * 8)(ctypes.addressof(name), len(address), ctypes.addressof(vector), 1, 0, 0, 0, 0)
        print(call(46, one.fileno(), header, 0))
        print(call(307, one.fileno(), header, 1, 0))
        """,
    ),
    Attack(
        name="listen",
        needs=NETWORK,
        code="""
        import socket
        for family, address in ((2, ("127.0.0.1", 0)), (10, ("::1", 0)), (1, "\\0" + MARK), (1, MARK + "-socket")):
            try:
                server = socket.socket(family)
                server.bind(address)
                server.listen()
                print("GOT a server at", address)
            except OSError as error:
                print(family, error)
        if os.path.exists(MARK + "-socket"):
            os.unlink(MARK + "-socket")
        """,
    ),
    *(
        Attack(
            name=f"open a socket of family {label}",
            control=Control.IF_SUPPORTED,
            code=f"import socket; print('GOT', socket.socket({family}, {kind}, {protocol}))",
        )
        for label, family, kind, protocol in (
            ("INET", 2, 1, 0),
            ("INET6", 10, 1, 0),
            ("UNIX", 1, 1, 0),
            ("UNIX datagram", 1, 2, 0),
            ("raw ICMP", 2, 3, 1),
            ("ping", 2, 2, 1),
            ("SCTP", 2, 1, 132),
            ("MPTCP", 2, 1, 262),
            ("NETLINK", 16, 3, 0),
            ("NETLINK generic", 16, 3, 16),
            ("PACKET", 17, 3, 768),
            ("VSOCK", 40, 1, 0),
            ("ALG", 38, 5, 0),
            ("KEY", 15, 3, 2),
            ("BLUETOOTH", 31, 3, 1),
            ("CAN", 29, 3, 1),
            ("XDP", 44, 3, 0),
            ("QIPCRTR", 42, 2, 0),
            ("TIPC", 30, 1, 0),
            ("RXRPC", 33, 2, 2),
        )
    ),
    Attack(
        name="pair sockets of other families",
        tools=True,
        control=Control.IF_SUPPORTED,
        code="""
        pair = (ctypes.c_int * 2)()
        for family, kind in ((30, 1), (30, 2), (30, 5), (2, 1), (10, 1)):
            if call(53, family, kind, 0, pair)[0] == 0:
                print("GOT a pair of family", family)
        """,
    ),
    Attack(
        name="send an open file through a pair",
        code="""
        import socket
        one, other = socket.socketpair()
        fd = os.open(SECRET, os.O_PATH)
        socket.send_fds(one, [b"x"], [fd])
        got = socket.recv_fds(other, 10, 4)[1][0]
        print(open(f"/proc/self/fd/{got}").read())
        """,
    ),
    Attack(
        name="take the sockets of the parent",
        needs=NETWORK,
        tools=True,
        control=Control.AS_ROOT,
        code="""
        import socket
        for pid in (PARENT, os.getppid(), 1):
            handle, error = call(434, pid, 0)
            for fd in range(256):
                got, error = call(438, handle, fd, 0) if handle >= 0 else (-1, 0)
                if got >= 0:
                    print("GOT descriptor", fd, "of", pid)
                    break
        """,
    ),
]
