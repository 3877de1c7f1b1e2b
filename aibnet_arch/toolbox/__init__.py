"""Everything that touches BasicSR: the command, the model class, checks, and mends of upstream faults.

The numerical core (:mod:`aibnet_arch.modeling`, :mod:`aibnet_arch.loss`, :mod:`aibnet_arch.metrics`)
knows nothing of this package.
"""
