"""Every exception that textgym raises on purpose, in one tree.

    TextgymError
    ├── ConfigError (ValueError)      a value the caller chose is wrong; nothing has run yet
    │   ├── MissingExtra (ImportError)   an optional package is not installed; says the pip command
    │   └── TemplateError                a chat template cannot render these messages; says why
    ├── DatasetError (ValueError)     rows of a dataset are malformed; names every bad row
    ├── NotForkable (TypeError)       this environment cannot be copied in the middle of an episode
    ├── NotTrainable (ValueError)     a trajectory cannot become training rows; names the field
    ├── EnvError                      an environment broke the contract (NaN reward, wrong type, …)
    ├── RewardError                   a reward function raised; names the function
    ├── PolicyError                   the policy gave no usable completion
    │   ├── ProviderUnreachable          no connection to the model server
    │   ├── ProviderRejected             the server refuses this request for good (400, 404, 422)
    │   │   ├── AuthenticationFailed        401 or 403: no other request would do better
    │   │   └── ContextOverflow             the prompt is longer than the model's context
    │   ├── ProviderFailed               the server failed (5xx, 429, timeout) until patience ran out
    │   └── MalformedResponse            a reply came, but not in the shape of the protocol
    ├── SandboxUnavailable            nothing on this machine can isolate untrusted code; says what is missing
    ├── RunError                      a run directory or a whole run cannot go on
    │   ├── RunLocked                    another process writes this directory
    │   ├── RunMismatch                  resume with another configuration; holds the difference
    │   └── RunAborted                   going on would only repeat one failure; holds what is done
    └── CheckFailed (AssertionError)  an environment broke a named rule of the contract

``gymnasium.error.ResetNeeded`` is raised where Gymnasium's contract says so, and unknown ids raise
Gymnasium's own errors. Invariant: every class here survives pickling with its fields, because
workers hand their errors across processes. A message says what is wrong, which value, what is
allowed and how to fix it. This module classifies; it does not catch anything.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AuthenticationFailed",
    "CheckFailed",
    "ConfigError",
    "ContextOverflow",
    "DatasetError",
    "EnvError",
    "MalformedResponse",
    "MissingExtra",
    "NotForkable",
    "NotTrainable",
    "PolicyError",
    "ProviderFailed",
    "ProviderRejected",
    "ProviderUnreachable",
    "RewardError",
    "RunAborted",
    "RunError",
    "RunLocked",
    "RunMismatch",
    "SandboxUnavailable",
    "TemplateError",
    "TextgymError",
]


class TextgymError(Exception):
    """Root of all errors raised by textgym."""


class ConfigError(TextgymError, ValueError):
    """A value chosen by the caller is wrong; raised before anything runs."""


class MissingExtra(ConfigError, ImportError):
    """An optional dependency is needed and not installed.

    Args:
        message: The whole message, or what needs the package if ``extra`` is given.
        extra: Name of the extra of this package that installs it.
    """

    def __init__(self, message: str, *, extra: str | None = None) -> None:
        if extra is not None:
            message = f'{message}: install it with `pip install "textgym[{extra}]"`'
        super().__init__(message)


class TemplateError(ConfigError):
    """A chat template cannot render these messages, or cannot continue a conversation with them."""


class DatasetError(TextgymError, ValueError):
    """Rows of a dataset are malformed; the message lists them with their positions."""


class NotForkable(TextgymError, TypeError):
    """The environment holds a live session and cannot be copied in the middle of an episode."""


class NotTrainable(TextgymError, ValueError):
    """A trajectory cannot become training rows: it has no tokens, or they contradict each other.

    Args:
        message: What is wrong.
        field: Field of the record that is wrong.
        key: Which trajectory, as ``group/sample``.
    """

    def __init__(self, message: str, *, field: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.key = key


class EnvError(TextgymError, RuntimeError):
    """An environment broke its contract, for instance with a NaN reward."""


class RewardError(TextgymError, RuntimeError):
    """A reward function raised; it is an error of the episode and never a reward of 0.

    Args:
        message: What happened.
        function: Name of the reward function.
    """

    def __init__(self, message: str, *, function: str | None = None) -> None:
        super().__init__(message)
        self.function = function


class PolicyError(TextgymError, RuntimeError):
    """The policy gave no usable completion.

    Args:
        message: What happened, with the URL where there is one.
        status: HTTP status, where the error came as one.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ProviderUnreachable(PolicyError):
    """No connection to the model server could be made."""


class ProviderRejected(PolicyError):
    """The server refuses this request for good (400, 404, 422); a retry cannot help."""


class AuthenticationFailed(ProviderRejected):
    """The server refuses the credentials (401, 403); the whole run stops at once."""


class ContextOverflow(ProviderRejected):
    """The prompt does not fit the model's context; the engine truncates the episode."""


class ProviderFailed(PolicyError):
    """The server failed or stalled (429, 5xx, reset, timeout) until the deadline or retries ended."""


class MalformedResponse(PolicyError):
    """A reply arrived that does not have the shape of the protocol."""


class SandboxUnavailable(TextgymError, RuntimeError):
    """Untrusted code cannot be isolated, so it is not run; the message names what is missing and the options."""


class RunError(TextgymError, RuntimeError):
    """A run directory cannot be used, or a run cannot go on."""


class RunLocked(RunError):
    """Another process is writing this run directory; the message names its pid."""


class RunMismatch(RunError):
    """Resume was asked with a configuration that differs from the stored one."""


class RunAborted(RunError):
    """The run was stopped because going on would only repeat the same failure.

    Args:
        message: The failure, once.
        run: The ``Run`` of what was finished until then, or None.
    """

    def __init__(self, message: str, *, run: Any = None) -> None:
        super().__init__(message)
        self.run = run


class CheckFailed(TextgymError, AssertionError):
    """An environment broke a rule of the contract.

    Args:
        message: What was observed.
        rule: Short name of the broken rule, as in the report of ``check_text_env``.
    """

    def __init__(self, message: str, *, rule: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule
