"""Kernels in Triton for what is bound by memory without gradient, one a file: one pass over the maps for each.

What each computes stands in :class:`.Operations` in torch's own operations. They accumulate in float32 and read maps
in any layout, without a copy. Not measured on a GPU. The modules that hold them import triton, which may not be there.
"""
