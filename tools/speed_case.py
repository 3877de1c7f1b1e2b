"""One network of tools.speed_table, in a process of its own: python tools/speed_case.py CASE

It stands alone, since it measures whatever checkout of the package PYTHONPATH names: this one, an older one, or the
code of AdaRevD's authors, whose package is called basicsr, too. CASE is JSON. It prints a JSON line when the network
has run once, then one for each precision that it reads from a line; it ends with its input.
"""

import json
import runpy
import sys
import time
import types
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

PEAK_MEMORY = Path(__file__).parents[1] / 'aibnet_arch' / 'profiling' / 'peak_memory.py'


def main() -> None:
    """Measure what the input asks for."""
    case = json.loads(sys.argv[1])
    device = torch.device('cpu')
    peak_memory: Callable[..., Any] = runpy.run_path(str(PEAK_MEMORY))['peak_memory']
    torch.manual_seed(0)
    network, optimizer = _built(case)
    run = _step(network, case, optimizer) if case['kind'] == 'training' else _restoring(network, case)
    run('float32')  # once before it counts, and before the other process's turn
    _tell({'macs': _macs(network, case)})
    for line in sys.stdin:
        precision = json.loads(line)
        with peak_memory(device) as highest:
            started = time.perf_counter()
            run(precision)
            seconds = time.perf_counter() - started
        _tell({'seconds': seconds, 'peak_bytes': highest[0]})


def _macs(network: nn.Module, case: dict[str, Any]) -> int:
    """Of convolutions and matrix products as they are computed, halos of strips and all; three times what trains.

    The backward pass is not counted itself: torch's counter takes its grouped convolutions for whole ones.
    """
    training = case['kind'] == 'training'
    images = torch.rand(2 if training else 1, 3, case['size'], case['size'])
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        network(images)
    flops = {name: sum(each.values()) for name, each in counter.get_flop_counts().items()}
    trained = f'{type(network).__name__}.sub_decoders.{case["stage"] - 1}' if case['stage'] else 'Global'
    return (flops['Global'] + (2 * flops[trained] if training else 0)) // 2


def _tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def _built(case: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """The network with random weights, and the optimizer's options."""
    if case['network'] == 'AdaRevD-L':
        return _adarevd(Path(case['checkout'])), {}
    import aibnet_arch

    if case['network'].startswith('AIBNet'):
        options = Path(aibnet_arch.__file__).parents[1] / 'options' / f'{case["network"]}_GoPro.yml'
        opt = yaml.safe_load(options.read_text())
        arguments = {**opt['network_g'], **case['arguments']}
        del arguments['type']
        return aibnet_arch.AIBNet(**arguments), opt['train']['optim_g']
    from aibnet_arch.registries.other_networks import OTHER_NETWORKS

    other = OTHER_NETWORKS[case['network']]
    return other.cls()(**{**other.arguments, **case['arguments']}), {'fused': True}


def _adarevd(checkout: Path) -> nn.Module:
    """With all its eight sub-decoders, none left out by its classifier."""
    for name in ('basicsr', 'basicsr.models', 'basicsr.models.archs'):  # without what they import, all networks
        package: Any = types.ModuleType(name)
        package.__path__ = [str(checkout / name.replace('.', '/'))]
        sys.modules[name] = package
    from basicsr.models.archs.AdaRevID_arch import AdaRevIDSlide  # type: ignore[import-not-found]

    untrained: dict[str, Any] = {'state_dict_pth_encoder': None, 'save_memory_decoder': False}
    sys.stdout, told = sys.stderr, sys.stdout  # it prints
    try:
        return AdaRevIDSlide(baseblock=['fcnaf'] * 8, decoder_idx=8, pretrain=True, **untrained)
    finally:
        sys.stdout = told


def _restoring(network: nn.Module, case: dict[str, Any]) -> Callable[[str], None]:
    network.eval()
    image = torch.rand(1, 3, case['size'], case['size'])

    def run(precision: str) -> None:
        with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16, enabled=precision == 'bf16'):
            network(image)

    return run


def _step(network: Any, case: dict[str, Any], options: dict[str, Any]) -> Callable[[str], None]:
    """Forward pass, loss, backward pass and Adam's step, without checkpointing."""
    loss = _loss()
    network.train()
    if case['stage']:
        network.set_stage(case['stage'])
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-6, fused=options.get('fused', False))
    lq, gt = torch.rand(2, 2, 3, case['size'], case['size'])

    def run(precision: str) -> None:
        with ExitStack() as contexts:
            if precision == 'frozen bf16':
                contexts.callback(_lower_frozen(network))
            optimizer.zero_grad()
            with torch.autocast('cpu', dtype=torch.bfloat16, enabled=precision == 'bf16'):
                restored = network(lq)
            loss(restored.float(), gt).backward()
            optimizer.step()

    return run


def _lower_frozen(network: Any) -> Callable[[], None]:
    """Run the frozen parts in bfloat16; gives what undoes it."""
    if hasattr(network, 'frozen_dtype'):  # until 0.1.0
        network.frozen_dtype = torch.bfloat16
        return lambda: setattr(network, 'frozen_dtype', None)
    from aibnet_arch.modeling.lean import Lean

    former, network.lean = network.lean, Lean(precision=torch.bfloat16)
    return lambda: setattr(network, 'lean', former)


def _loss() -> nn.Module:
    try:
        module: Any = import_module('aibnet_arch.losses.aibnet_loss')
    except ModuleNotFoundError:  # where it was until 0.1.0
        module = import_module('aibnet_arch.loss')
    return module.AIBNetLoss()


if __name__ == '__main__':
    main()
