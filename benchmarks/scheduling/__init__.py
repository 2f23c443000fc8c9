"""A discrete-event model of group rollouts on many inference engines.

``workload`` draws what is to be generated, ``cluster`` is the engines, ``client`` decides what runs when and
what is trained on. Seconds and tokens throughout. Invariant: the same arguments give the same events.
"""
