"""Decoding with a local causal language model: what ``TransformersPolicy`` runs on.

Read downwards: ``plan.py`` says how one request samples, ``job.py`` holds a request on its way,
``choice.py`` draws one token a row, ``forward.py`` runs the model over a batch with its key-value
cache, ``ropes.py`` knows which models read long rows otherwise, ``trial.py`` proves that all this gives
the model's own predictions, ``prefixes.py`` keeps caches for the next turn, ``growing_text.py`` finds
stop strings, and ``decoder.py`` is the thread that does it.

Invariant: what a request gets depends on its prompt, its plan, its seed and the weights; who shares its
batch changes nothing but the last bits of a float. Torch is imported inside functions only.
"""

from textgym.policies.decoding.decoder import Decoder
from textgym.policies.decoding.growing_text import GrowingText
from textgym.policies.decoding.job import Job, Sampled, Token
from textgym.policies.decoding.plan import SamplingPlan

__all__ = ["Decoder", "GrowingText", "Job", "Sampled", "SamplingPlan", "Token"]
