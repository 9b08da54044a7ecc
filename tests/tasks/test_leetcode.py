"""LeetCodeDataset, in a row made for the purpose: a method that takes and gives the prompt's own class."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.protocol import Runner
from tasks.datasets import load
from tasks.grading.grader import Grader

PROMPT = """from typing import *

class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next

def list_node(values):
    head = None
    for value in reversed(values):
        head = ListNode(value, head)
    return head

def is_same_list(a, b):
    while a and b and a.val == b.val:
        a, b = a.next, b.next
    return a is None and b is None
"""
TEST = """def check(candidate):
    assert is_same_list(candidate(head=list_node([1, 2, 3])), list_node([3, 2, 1]))
    assert is_same_list(candidate(head=list_node([])), list_node([]))
"""
REVERSE = """class Solution:
    def reverseList(self, head: Optional[ListNode]) -> Optional[ListNode]:
        last = None
        while head:
            head.next, last, head = last, head, head.next
        return last
"""
ECHO = "class Solution:\n    def reverseList(self, head): return head\n"


def test_a_row_is_graded_by_its_own_test(pool: Runner, tmp_path: Path) -> None:
    row = {"task_id": "reverse-linked-list", "query": "Reverse a list.", "prompt": PROMPT, "test": TEST}
    row |= {"entry_point": "Solution().reverseList", "completion": REVERSE, "difficulty": "Easy"}
    file = tmp_path / "leetcode.jsonl"
    file.write_text(json.dumps(row) + "\n")
    (task,) = load(f"leetcode={file}")
    assert (task.id, task.prompt, task.level) == ("reverse-linked-list", "Reverse a list.", "Easy")
    assert task.reference is not None
    verdicts = Grader(pool).grade(task, [task.reference, PROMPT + ECHO])
    assert [verdict.passed for verdict in verdicts] == [True, False], verdicts
