"""Roll out a model behind an OpenAI-compatible server, stop in the middle, and resume.

The server here is the one that ships for tests; put your own base_url in its place.
"""

import tempfile
from pathlib import Path

import textgym
from textgym.testing import MockModelServer


def main() -> None:
    with MockModelServer(answer="<guess>50</guess>") as server, tempfile.TemporaryDirectory() as folder:
        policy = textgym.OpenAIPolicy("mock", base_url=server.base_url)
        arguments = {
            "num_examples": 12,
            "group_size": 2,
            "sampling": textgym.Sampling(max_tokens=16, temperature=1.0),
            "limits": textgym.Limits(turns=3),
        }
        out = Path(folder) / "run"
        textgym.rollout("textgym/GuessNumber-v0", policy, out=out, **arguments)
        episodes = out / "episodes.jsonl"
        lines = episodes.read_bytes().splitlines(keepends=True)
        episodes.write_bytes(b"".join(lines[:10]) + lines[10][:40])  # as if killed while writing
        print(f"{len(textgym.Run.load(out))} of {len(lines)} episodes are left")
        run = textgym.rollout("textgym/GuessNumber-v0", policy, out=out, resume=True, **arguments)
        print(run.summary())
        print(f"limited episodes are scored: {run[0].stop_reason}, reward {run[0].reward}")


if __name__ == "__main__":
    main()
