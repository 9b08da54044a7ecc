"""How other harnesses ask a model and draw its tokens, as settings: `coderl eval --preset` (docs/evaluation.md).

The texts are the harnesses' own, as a model's answer depends on them word by word.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from coderl.errors import ConfigError

Settings = dict[str, Any]  # by dotted key

# evalplus 0.3.1: evalplus/codegen.py, evalplus/provider/utility.py and vllm.py
INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem "
    "in a markdown code block:"
)
_EVALPLUS_RESPONSE = (
    "Below is a Python script with a self-contained function that solves the problem and passes "
    "corresponding tests:"
)
_EVALPLUS_STOP = ["<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint("]
# bigcode-evaluation-harness: bigcode_eval/tasks/humaneval.py and mbpp.py
_BIGCODE_HUMANEVAL = ["\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>"]
_BIGCODE_MBPP = ["\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```"]
# LiveCodeBench: lcb_runner/prompts/code_generation.py
_LIVECODEBENCH_SYSTEM = (
    "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
    "correct Python program that matches the specification and passes all tests."
)
_LIVECODEBENCH = """\
### Question:
{{ metadata.question }}

### Format: {% if metadata.starter_code %}\
You will use the following starter code to write the solution to the problem and enclose your code within delimiters.
```python
{{ metadata.starter_code }}
```
{% else %}\
Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample \
inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, it reads the \
inputs, runs the algorithm and writes output to STDOUT.
```python
# YOUR CODE HERE
```
{% endif %}

### Answer: (use the provided format with backticks)


"""
_HUMANEVAL, _MBPP = ("humaneval", "humanevalplus"), ("mbpp", "mbppplus")
# The head of a function, or MBPP's description and first test as a docstring: evalplus's release has it so, bigcode
# makes it.
_BARE = (
    '{% if "first_test" in metadata %}"""\n{{ metadata.question }}\n{{ metadata.first_test }}\n"""'
    "{% else %}{{ prompt | trim }}{% endif %}"
)
_LINE = f"{_BARE}\n\n\n"  # Jinja takes the first new line for its tag's, the last for the file's


@dataclass(frozen=True, slots=True)
class Preset:
    """`settings` are those for a data set, and a model that is asked by chat or not; `samples` is the usual number."""

    source: str
    data_sets: Sequence[str]
    samples: int
    settings: Callable[[str, bool], Settings]


def _decoding(temperature: float, max_tokens: int) -> Settings:
    return {
        "eval.temperature": temperature,
        "eval.top_p": 0.95,
        "eval.top_k": 0,
        "eval.min_p": 0.0,
        "sampler.max_tokens": max_tokens,
    }


def _evalplus(data_set: str, chat: bool) -> Settings:
    if chat:
        asked = {
            "model.prompt_style": "chat",
            "model.prompt_template": f"{INSTRUCTION}\n```\n{_BARE}\n\n```\n\n",
            "model.answer_opening": f"{_EVALPLUS_RESPONSE}\n```python\n",
        }
        stop = ["\n```\n"]
    else:
        asked = {"model.prompt_style": "completion", "model.prompt_template": _LINE}
        humaneval = ["\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "]
        stop = humaneval if data_set in _HUMANEVAL else ['\n"""', "\nassert"]
    return {
        **asked,
        "sampler.stop": [*_EVALPLUS_STOP, *stop],
        "grading.extraction": "evalplus",
        **_decoding(0.0, 768),
    }


def _bigcode(data_set: str, chat: bool) -> Settings:
    humaneval = data_set in _HUMANEVAL
    return {
        "model.prompt_style": "completion",
        "model.prompt_template": _BARE if humaneval else _LINE,
        "sampler.stop": _BIGCODE_HUMANEVAL if humaneval else _BIGCODE_MBPP,
        **_decoding(0.2, 512),
    }


def _livecodebench(data_set: str, chat: bool) -> Settings:
    if not chat:
        raise ConfigError(
            "--preset livecodebench asks by chat, as its runner asks instruct models, and this model's tokenizer has "
            "no chat template: take the instruct version of the model"
        )
    return {
        "model.prompt_style": "chat",
        "model.system_prompt": _LIVECODEBENCH_SYSTEM,
        "model.prompt_template": _LIVECODEBENCH,
        "sampler.stop": ["###"],
        **_decoding(0.2, 2000),
    }


PRESETS = {
    "evalplus": Preset("evalplus 0.3.1", (*_HUMANEVAL, *_MBPP), 1, _evalplus),
    "bigcode": Preset("bigcode-evaluation-harness", (*_HUMANEVAL, *_MBPP), 50, _bigcode),
    "livecodebench": Preset("LiveCodeBench", ("livecodebench",), 10, _livecodebench),
}


def settings_of(name: str, data_set: str, *, chat: bool) -> Settings:
    """What the harness `name` sends and how it decodes, by dotted key.

    Raises:
        ConfigError: it has no such data set, or no way to ask this model.
    """
    preset = PRESETS[name]
    if data_set not in preset.data_sets:
        raise ConfigError(
            f"--preset {name}: {data_set or 'this'} is no data set of {preset.source}, which has "
            f"{', '.join(preset.data_sets)}; leave --preset out"
        )
    return preset.settings(data_set, chat)


def overrides(settings: Settings) -> list[str]:
    """As `section.key=value`, which `load` takes."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
