"""Attacks on the sandbox, the ground they are let loose on, and the table that says who held.

Everything here is defensive: each attack goes for things that the test itself put there.
"""
