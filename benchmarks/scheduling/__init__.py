"""A discrete-event model of group rollouts on many inference engines.

``workload`` draws what is to be generated, ``cluster`` is the engines, ``policy`` says the rule, ``client``
decides by it what runs when and what is trained on, ``outcome`` sums it up. Seconds and tokens throughout.
Invariant: the same arguments give the same events.
"""
