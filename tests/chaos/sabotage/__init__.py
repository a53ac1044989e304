"""Agents that are broken on purpose, to see the checker notice. No product code knows of these.

python -m tests.chaos.sabotage NAME run --config FILE
"""
