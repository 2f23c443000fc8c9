"""Play one episode with plain Gymnasium calls."""

import gymnasium as gym

import textgym  # noqa: F401  (importing registers the ids)


def main() -> None:
    env = gym.make("textgym/GuessNumber-v0", low=1, high=20)
    observation, info = env.reset(seed=0)
    print(observation)
    terminated = truncated = False
    total = 0.0
    while not (terminated or truncated):
        action = env.unwrapped.oracle()
        print(f"  > {action}")
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward
        print(observation)
    print(f"return {total}, because {info['rewards']}; ended as {info['stop_reason']}")


if __name__ == "__main__":
    main()
