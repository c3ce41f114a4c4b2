"""The roles of plugins, one file each: the options class that YAML names, and the abstract class that it builds.

Letters in every shape: B batch, T tokens, H hidden, A heads, D head size, F feed-forward, O out, I in,
M members, N examples, C classes (1 for regression), L layers.
"""
