"""The benchmark house: measures taphouse beside its peers, in pairs, and says what was missed.

``python -m bench`` runs every group of rows, keeps the figures in ``bench/results/*.json`` and writes the
table of ``docs/benchmarks.md``. It may know every public door of taphouse; taphouse never knows it.
"""
