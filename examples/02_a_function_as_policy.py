"""Any function from text to text is a policy; here a small solver plays Math-v0."""

import re

import textgym


def solver(observation: str) -> str:
    """Answer "Compute a + b." and give up on everything else."""
    found = re.search(r"Compute (\d+) ([+-]) (\d+)\.", observation)
    if found is None:
        return "I cannot do that."
    a, sign, b = int(found[1]), found[2], int(found[3])
    return rf"\boxed{{{a + b if sign == '+' else a - b}}}"


def main() -> None:
    run = textgym.rollout("textgym/Math-v0", solver, num_examples=40, group_size=2)
    print(run.summary())
    worst = min(run, key=lambda trajectory: trajectory.reward)
    print(f"\nOne that failed:\n{worst.messages[-2]['content']}\n  > {worst.completion}")


if __name__ == "__main__":
    main()
