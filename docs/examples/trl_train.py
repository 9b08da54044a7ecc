"""A whole training with TRL: coderl's problems, its sandbox's verdicts as the reward.

    coderl sandbox serve --slots 8 &
    CODERL_SANDBOX=http://127.0.0.1:8000 python docs/examples/trl_train.py MODEL OUT --tasks mbpp --steps 200

MODEL is a transformers folder (`coderl model fetch NAME` prints one) or a hub id; OUT holds the trained one.
"""

from __future__ import annotations

import argparse
import json

import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl import GRPOConfig, GRPOTrainer
from trl_reward import tests_passed  # beside this file

import tasks
from tasks.native import to_row
from tasks.types import Task


def columns(task: Task, chat: bool) -> dict[str, object]:
    prompt = [{"role": "user", "content": task.prompt}] if chat else task.prompt
    return {"prompt": prompt, "task": json.dumps(to_row(task))}


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("model")
parser.add_argument("out")
parser.add_argument("--tasks", default="mbpp", help="as `coderl tasks list` has them, or a file")
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--prompts", type=int, default=4, help="a step; each is answered --samples times")
parser.add_argument("--samples", type=int, default=8)
parser.add_argument("--max-tokens", type=int, default=512)
options = parser.parse_args()

chat = AutoTokenizer.from_pretrained(options.model).chat_template is not None
trainer = GRPOTrainer(
    model=options.model,
    reward_funcs=[tests_passed],
    train_dataset=Dataset.from_list(
        [columns(task, chat) for task in tasks.load(options.tasks, split="train")]
    ),
    args=GRPOConfig(
        output_dir=options.out,
        max_steps=options.steps,
        per_device_train_batch_size=options.samples,
        gradient_accumulation_steps=options.prompts,
        num_generations=options.samples,
        max_completion_length=options.max_tokens,
        learning_rate=1e-6,
        logging_steps=1,
        log_completions=True,  # a table of answers with their rewards, each step
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
    ),
)
trainer.train()
trainer.save_model(options.out)
