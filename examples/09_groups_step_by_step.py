"""Groups in Gymnasium's vector form: three problems, four samples each, stepped together."""

import gymnasium as gym

import textgym  # noqa: F401  (registers the ids)

envs = gym.make_vec("textgym/GuessNumber-v0", num_envs=12, group_size=4, high=9)
observations, infos = envs.reset(seed=0)
returns = [0.0] * envs.num_envs
turn = 0
while envs.active.any():  # a member that has ended reports it once and idles
    turn += 1
    guesses = [f"<guess>{1 + (turn + member) % 9}</guess>" for member in range(envs.num_envs)]
    observations, rewards, terminations, truncations, infos = envs.step(guesses)
    returns = [total + float(reward) for total, reward in zip(returns, rewards, strict=True)]
for group in range(envs.num_groups):
    print(f"problem {group}: returns {[returns[i] for i in range(12) if envs.group_ids[i] == group]}")
