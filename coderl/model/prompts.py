"""How a task becomes the tokens that a model is sent: nothing else decides it.

chat        the task is the user's turn; a function to complete is quoted in a request, in evalplus's words
prefilled   the same, and the answer is begun for the model: a fence, and the head of the function to complete
completion  the task's text and nothing else

With `model.prompt_template` it says the user's turn, or the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from coderl.config.presets import INSTRUCTION
from coderl.config.settings import ModelConfig
from coderl.config.template import FIELDS, render
from coderl.errors import ModelError
from tasks.types import Task

_GOES_ON = "-[[the model goes on here]]-"  # in no text


@dataclass(frozen=True, slots=True)
class Prompt:
    """`text` is what `tokens` stand for; it ends with `opening`, the part of the answer that the model is given.

    `given`, which it ends with too, is the part of the program: by completion all of the text.
    """

    text: str
    tokens: list[int]
    opening: str = ""
    given: str = ""


def prompt_of(task: Task, tokenizer: Any, config: ModelConfig) -> Prompt:
    """What a model with this tokenizer is sent for `task`. By completion it begins as the tokenizer begins texts.

    Raises:
        ModelError: the model cannot be asked as `config` says.
    """
    style = style_of(tokenizer, config)
    if style == "completion":
        for key in ("system_prompt", "answer_opening"):
            if getattr(config, key):
                raise ModelError(
                    f"model.{key} has no effect: the model is asked by completion, without turns"
                )
        text = given = _asked(task, config) or task.prompt
        opening = ""
    else:
        opening = _opening(task) if style == "prefilled" else config.answer_opening or ""
        text = _chat(task, tokenizer, config, opening)
        given = opening.partition(f"```{task.language}\n")[2]
    tokens = tokenizer.encode(text, add_special_tokens=style == "completion")
    return Prompt(text, list(tokens), opening, given)


def solution_of(program: str, task: Task, tokenizer: Any, config: ModelConfig) -> str | None:
    """How the model would write `program`, a whole one, after `prompt_of`; None: it does not go on from that."""
    style = style_of(tokenizer, config)
    if style == "chat":
        answer = f"```{task.language}\n{program.strip()}\n```"
        opened = (config.answer_opening or "").endswith(f"```{task.language}\n")
        return answer.partition("\n")[2] if opened else answer
    fence = style == "prefilled"
    begun = _opening(task) if fence else task.prompt if task.style == "complete" else ""
    whole = f"```{task.language}\n{program.rstrip()}\n```" if fence else program
    return whole.removeprefix(begun) if whole.startswith(begun) else None


def style_of(tokenizer: Any, config: ModelConfig) -> str:
    """`chat`, `prefilled` or `completion`."""
    if config.prompt_style != "auto":
        return config.prompt_style
    return "chat" if tokenizer.chat_template else "completion"


def _chat(task: Task, tokenizer: Any, config: ModelConfig, opening: str) -> str:
    if not tokenizer.chat_template:
        raise ModelError(
            f"model.prompt_style={config.prompt_style} needs a chat template, and this model's tokenizer has none: "
            "take prompt_style=completion, or the instruct version of the model"
        )
    system = [{"role": "system", "content": config.system_prompt}] if config.system_prompt else []
    messages = [*system, {"role": "user", "content": _asked(task, config) or _request(task)}]
    begun = [{"role": "assistant", "content": opening + _GOES_ON}] if opening else []
    try:
        text = tokenizer.apply_chat_template(
            messages + begun, add_generation_prompt=not begun, tokenize=False
        )
    except TemplateError as error:  # as of templates that know no system turn
        raise ModelError(f"the model's chat template refuses the prompt: {error}") from error
    return str(text).partition(_GOES_ON)[0]  # what closes the turn is the model's to say


def _asked(task: Task, config: ModelConfig) -> str:
    """By the user's own template; empty without one."""
    if config.prompt_template is None:
        return ""
    try:
        text = render(config.prompt_template, {name: getattr(task, name) for name in FIELDS})
    except Exception as error:  # the user's template: any fault in it is its own
        raise ModelError(f"model.prompt_template does not fit task {task.id}: {error}") from error
    if not text.strip():
        raise ModelError(f"model.prompt_template leaves nothing to ask in task {task.id}")
    return text


def _request(task: Task) -> str:
    if task.style == "instruct":
        return task.prompt
    return f"{INSTRUCTION}\n```\n{task.prompt.strip()}\n```\n"


def _opening(task: Task) -> str:
    # Without the head's last newline: after it a chat model takes the head for the whole answer (docs/benchmarks.md).
    return f"```{task.language}\n" + (task.prompt.rstrip() if task.style == "complete" else "")
