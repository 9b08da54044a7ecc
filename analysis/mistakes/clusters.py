"""Groups of errors that are nearly the same: beyond the exact match that L1 is.

Character TF-IDF of message template and source line, cosine distance, average linkage; errors of
different L0 (phase and exception type) are never joined. Deterministic, whatever the order given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.feature_extraction.text import TfidfVectorizer

from analysis.mistakes.fingerprint import Fingerprint

FARTHEST = 0.55
"""Average cosine distance up to which two groups are joined; chosen by reading the groups it makes."""


def cluster(fingerprints: Sequence[Fingerprint]) -> list[int]:
    """A cluster number for each fingerprint; clusters are numbered in the order of their first member."""
    by_l0: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for mark in fingerprints:
        by_l0[mark.l0].add((_text(mark), mark.l1))
    cluster_of: dict[str, tuple[str, int]] = {}
    for l0, members in by_l0.items():
        ordered = sorted(members)
        numbers = _groups([text for text, _ in ordered])
        cluster_of |= {l1: (l0, number) for (_, l1), number in zip(ordered, numbers, strict=True)}
    numbering: dict[tuple[str, int], int] = {}
    return [numbering.setdefault(cluster_of[mark.l1], len(numbering)) for mark in fingerprints]


def _text(mark: Fingerprint) -> str:
    return f"{mark.template}\n{mark.source}"


def _groups(texts: Sequence[str]) -> list[int]:
    if len(texts) < 2:
        return [0] * len(texts)
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), token_pattern=None).fit_transform(
        [text.strip() or "-" for text in texts]
    )
    tree = linkage(pdist(vectors.toarray(), metric="cosine").clip(min=0), method="average")
    return [int(number) for number in fcluster(tree, t=FARTHEST, criterion="distance")]
