"""Many environments as one: the vector environment of groups.

    envs = gym.make_vec("textgym/Math-v0", num_envs=64, group_size=8)      # 8 problems x 8 samples

Invariant: what a member shows is what its environment shows alone. Policies are not asked from here; that is the
business of ``textgym.rollouts``.
"""

from textgym.vector.group_vector_env import GroupVectorEnv

__all__ = ["GroupVectorEnv"]
