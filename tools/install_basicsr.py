"""Install BasicSR 1.4.2 from PyPI's source, on any Python that PyTorch serves: python tools/install_basicsr.py

Its setup.py runs ``exec`` in a function and reads the result from ``locals()``. Since Python 3.13 these are a snapshot
(PEP 667), and the build ends in ``KeyError: '__version__'``. Here the build runs with an ``exec`` that writes where
``locals()`` looks; nothing else is changed, and older versions of Python build as they always did.

``--check`` only says whether this Python can run the package, before anything is downloaded.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BASICSR = 'basicsr==1.4.2'
OLDEST, NEWEST = (3, 9), (3, 14)
# Python runs a module of this name when it starts, also in the processes in which pip builds.
SHIM_NAME = 'sitecustomize.py'
SHIM = """\
import builtins
import sys

_exec = builtins.exec


def exec_where_locals_look(code, globals=None, locals=None, /, **options):
    if globals is None:
        caller = sys._getframe(1)
        globals, locals = caller.f_globals, caller.f_locals
    return _exec(code, globals, locals, **options)


builtins.exec = exec_where_locals_look
"""


def check_python() -> None:
    """Exit with a message if PyTorch or BasicSR cannot be had for this Python."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        here, oldest, newest = ('.'.join(map(str, v)) for v in (sys.version_info[:2], OLDEST, NEWEST))
        sys.exit(
            f'Python {here} ({sys.executable}) does not serve: AIBNet needs {oldest} to {newest}, for which PyTorch '
            'has releases. Choose another one, e.g. make demo PYTHON=python3.12'
        )


def main() -> int:
    """Install, with the flags of ``pip install`` that are given; pip's exit code."""
    parser = argparse.ArgumentParser(prog='python tools/install_basicsr.py', description=(__doc__ or '').split('\n')[0])
    parser.add_argument('--check', action='store_true', help='only check the version of Python')
    arguments, flags = parser.parse_known_args()
    check_python()
    if arguments.check:
        return 0
    # The build imports torch, and builds no extension with ninja, cython and numpy unless it is told to.
    missing = [name for name in ('torch', 'setuptools') if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f'BasicSR builds with {" and ".join(missing)}: pip install {" ".join(missing)}, then run this again')
    with tempfile.TemporaryDirectory() as folder:
        paths = [path for path in (os.environ.get('PYTHONPATH'),) if path]
        environment = dict(os.environ)
        if sys.version_info >= (3, 13):
            (Path(folder) / SHIM_NAME).write_text(SHIM)
            environment['PYTHONPATH'] = os.pathsep.join([folder, *paths])
        command = [sys.executable, '-m', 'pip', 'install', '--no-build-isolation', *flags, BASICSR]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == '__main__':
    sys.exit(main())
