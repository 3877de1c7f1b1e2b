"""One static HTML page of restored pictures: before, after and truth side by side, figures, blur maps."""

from .columns import usual_better
from .entry import Entry, write_entry
from .page import Page

__all__ = ['Entry', 'Page', 'usual_better', 'write_entry']
