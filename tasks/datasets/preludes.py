"""What data sets' graders run before a program, in its module (`Task.prelude`).

Of its imports a program's process does only those whose names the program holds (sandbox/pool/prelude.py).
"""

from __future__ import annotations

# What LeetCode-style platforms import before a solution; their starter code relies on it. Not `math`'s `pow`,
# which would hide the builtin one and its third argument.
PLATFORM = (
    "import collections\nimport functools\nimport heapq\nimport itertools\nimport math\n"
    "from bisect import *\nfrom collections import *\nfrom functools import *\nfrom heapq import *\n"
    "from itertools import *\nfrom math import ceil, floor, gcd, inf, sqrt\nfrom typing import *\n"
)

_MODULES = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys json"
).split()
_STARS = "".join(f"from {name} import *\n" for name in [*_MODULES, "builtins", "typing"])
_NAMES = "".join(f"import {name}\n" for name in _MODULES)
# lcb_runner/evaluation/testing_util.py, `import_string`.
LIVECODEBENCH = f"{_STARS}{_NAMES}sys.setrecursionlimit(50000)\n"
# PRIME's and verl's prime_code/testing_util.py, by which PrimeIntellect's programs are graded.
PRIME_CODE = f"{_STARS}{_NAMES}sys.setrecursionlimit(6 * 10**5)\n"
# The `sol` of APPS's and TACO's testing_util.py.
APPS = (
    "import sys\nimport time\nimport itertools\n"
    "from itertools import accumulate, product, permutations, combinations\nimport collections\n"
    "from collections import Counter, OrderedDict, deque, defaultdict, ChainMap\nfrom functools import lru_cache\n"
    "import math\nfrom math import sqrt, sin, cos, tan, ceil, fabs, floor, gcd, exp, log, log2\nimport fractions\n"
    "from typing import List, Tuple\nimport numpy as np\nimport random\nimport heapq\nfrom heapq import *\n"
)
