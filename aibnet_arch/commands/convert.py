"""``basicsr convert``: weights from .pth to .safetensors and back."""

from ..messages import printable
from ..weights.conversion import convert, named
from .arguments import one_file_to_another


def run_convert(argv: list[str]) -> int:
    """Convert, and say what was done; the exit code."""
    parser = one_file_to_another(
        'convert',
        description='Weights from one format to the other, by the suffixes.',
        source='a .pth or .safetensors file',
        target='the file to make',
        key='keep this entry alone; the name for a bare state dict',
    )
    arguments = parser.parse_args(argv)
    kept, dropped = convert(arguments.source, arguments.target, param_key=arguments.param_key)
    print(f'{arguments.target}: {printable(", ".join(map(named, kept)))}, read back bit-equal')
    if dropped:
        print(f'dropped: {printable(", ".join(dropped))}')
    return 0
