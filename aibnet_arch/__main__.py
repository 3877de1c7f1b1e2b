"""`python -m aibnet_arch` is the `basicsr` command (for `torchrun -m aibnet_arch train ...`)."""

import sys

from .commands.main import main

sys.exit(main())
