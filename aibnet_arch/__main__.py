"""`python -m aibnet_arch` is the `basicsr` command (for `torchrun -m aibnet_arch train ...`)."""

import sys

from .toolbox.command import main

sys.exit(main())
