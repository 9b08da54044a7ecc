"""The model's answer in what it sampled: without its chat template's tokens, other turns, and its reasoning."""

from __future__ import annotations

import re

_ASSISTANT = re.compile(
    r"<\|im_start\|>assistant|<\|start_header_id\|>assistant<\|end_header_id\|>|<\|assistant\|>"
    r"|<start_of_turn>model|\[/INST\]|<｜Assistant｜>"
)
_HEADERS = tuple(
    "<|im_start|> <|begin_of_text|> <|start_header_id|> <|assistant|> <|user|> <|system|> <bos> <s>"
    " <start_of_turn> [INST] <｜begin▁of▁sentence｜> <｜Assistant｜> <｜User｜>".split()
)
_END = re.compile(
    r"<\|(?:im_end|im_start|eot_id|eom_id|start_header_id|end_of_text|endoftext|end|user|system)\|>"
    r"|<\|(?:fim_prefix|fim_suffix|fim_middle|fim_pad|file_sep|repo_name)\|>|<fim_(?:prefix|suffix|middle|pad)>|<file_sep>"
    r"|<end_of_turn>|<start_of_turn>|<｜end▁of▁sentence｜>|<｜User｜>|(?:</s>|<eos>|<EOT>)\s*\Z"
)
# Channels, as gpt-oss writes them (the harmony format): `final` is the answer. Decoded without the special tokens
# only their words are left, `analysis...assistantfinal...`.
_HARMONY = ("<|channel|>", "<|start|>")
_FINAL = re.compile(r"<\|channel\|>final\b[^<\n]*(?:<\|constrain\|>[^<\n]*)?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:return|end|start|channel|call)\|>")
_STRIPPED_FINAL = "assistantfinal"
_NAMES = r"think|thinking|thought|reasoning|seed:think"
_THINK = re.compile(
    rf"^[ \t]*(?P<open><(?:{_NAMES})>|\[THINK\]|◁think▷|<\|START_THINKING\|>)"
    rf"|</(?:{_NAMES})>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>",
    re.MULTILINE,
)


def answer_of(completion: str) -> tuple[str, bool]:
    """The answer, and whether there is one: reasoning that is never closed leaves none."""
    text = completion.removeprefix("\ufeff")
    start = text.lstrip()
    if start.startswith(_HARMONY):
        return _final_channel(text)
    if start.startswith("analysis") and _STRIPPED_FINAL in text:
        return text.rpartition(_STRIPPED_FINAL)[2], True
    return _outside_reasoning(_turn(text))


def _final_channel(text: str) -> tuple[str, bool]:
    finals = [found.end() for found in _FINAL.finditer(text)]
    if not finals:
        return "", False
    end = _CHANNEL_END.search(text, finals[-1])
    return text[finals[-1] : end.start() if end else len(text)], True


def _turn(text: str) -> str:
    """The assistant's first turn."""
    if text.lstrip().startswith(_HEADERS) and (header := _ASSISTANT.search(text)):
        text = text[header.end() :].removeprefix("\n")
    end = _END.search(text)
    return text[: end.start()] if end else text


def _outside_reasoning(text: str) -> tuple[str, bool]:
    """What stands outside reasoning tags, and whether the reasoning was closed.

    A closing tag without an opening one ends reasoning that the prompt's template had opened.
    """
    kept: list[str] = []
    position, inside, closed_before = 0, False, False
    for tag in _THINK.finditer(text):
        if tag["open"] and not inside:
            kept.append(text[position : tag.start()])
            inside = True
        elif not tag["open"] and (inside or not closed_before):
            if not inside:
                kept.clear()
            position, inside, closed_before = tag.end(), False, True
    if not inside:
        kept.append(text[position:])
    return "".join(kept), not inside
