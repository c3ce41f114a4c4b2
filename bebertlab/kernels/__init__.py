"""Products of packed bits on a CPU: vector code that is generated when it is first needed, for the CPU at hand.

Numpy arrays in and out; nothing here knows a model's names or needs torch. Import `product` for a product of packed
levels and `encoder` for a whole encoder of bits; `layout` packs weights for both. The modules whose names begin with
`emit` write the code, `compiler` compiles and caches it, `target` says for which CPU.
"""
