"""Tools: a function of yours, the calculator, and Python from a model run where it can do no harm."""

import textgym
from textgym import ToolEnv, calculator

STOCK = {"pears": 12, "plums": 30}


def stock(fruit: str) -> int:
    """How many pieces of a fruit are there.

    Args:
        fruit: Its name, in the plural.
    """
    return STOCK[fruit]


env = ToolEnv(
    [{"question": "How many pears and plums are there in all?", "answer": "42"}], [stock, calculator]
)
answers = [
    '<tool>{"name": "stock", "args": {"fruit": "pears"}}</tool>'
    '<tool>{"name": "stock", "args": {"fruit": "kiwis"}}</tool>',
    '<tool>{"name": "stock", "args": {"fruit": "plums"}}</tool>',
    '<tool>{"name": "calculator", "args": {"expression": "12 + 30"}}</tool>',
    "<answer>42</answer>",
]
observation, _ = env.reset(seed=0)
for answer in answers:
    observation, reward, terminated, _, info = env.step(answer)
    print(observation)
print(reward, info["metrics"]["tool_errors"])  # 1.0 1.0: the kiwis, a mistake that the model was told of

try:
    with textgym.Sandbox() as box:
        print(box.run("print(sum(range(10)))").stdout)
        print(box.run("open('/etc/passwd')").stderr.splitlines()[-1])
        print(box.run("while True: pass", timeout=0.2).status)
except textgym.errors.SandboxUnavailable as error:  # it never runs code unprotected
    print(error)
