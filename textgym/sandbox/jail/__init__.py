"""What runs inside the sandbox's own processes: the standard library and ctypes only.

Invariant: the modules of this folder import nothing but the standard library and each other, because their text
is handed to a bare interpreter (``textgym.sandbox.program``) that cannot see this package.
"""
