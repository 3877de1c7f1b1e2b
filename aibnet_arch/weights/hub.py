"""An AIBNet on the Hugging Face Hub, or in a folder of that layout, with a card of what its weights say of themselves.

::

    from aibnet_arch.weights.hub import AIBNet

    network = AIBNet.from_file('net_g_latest.pth')
    network.save_pretrained('aibnet')        # model.safetensors, config.json, README.md
    network.push_to_hub('somebody/aibnet')   # after `hf auth login`
    network = AIBNet.from_pretrained('somebody/aibnet')

The network's own module needs torch and einops alone; this one huggingface-hub.
"""

from pathlib import Path
from typing import Any, Optional, Union

from .. import modeling
from ..errors import CheckpointError, UserError
from .hub_card import card
from .network_file import outline_of
from .state_dicts import refuse_lost_weights
from .weight_file import WeightFile, write_weight_file

try:
    from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
except ModuleNotFoundError as error:
    raise UserError('sharing a network needs huggingface-hub: pip install huggingface-hub') from error

WEIGHTS = 'model.safetensors'
# What the mixin adds to the arguments.
OF_HUB = ('revision', 'cache_dir', 'force_download', 'local_files_only', 'token')


class AIBNet(modeling.AIBNet, ModelHubMixin):
    """:class:`aibnet_arch.AIBNet` with `from_pretrained`, `save_pretrained` and `push_to_hub` of huggingface-hub.

    Attributes:
        about: what the file of weights says beside them, 'iter' and 'options'.
    """

    about: dict[str, Any]

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.about = {}

    @classmethod
    def from_file(cls, path: Union[str, Path], *, param_key: Optional[str] = None) -> 'AIBNet':
        """The network of a file of weights, in evaluation mode on the CPU.

        Args:
            param_key: entry of the file (params_ema if it has that, else params).

        Raises:
            CheckpointError: it is missing, damaged, or none of AIBNet's.
        """
        weights = WeightFile.read(path)
        state = weights.state_dict(param_key)
        network = cls(**outline_of(state, where=path)[0].arguments)
        refuse_lost_weights(state, where=path)
        network.load_state_dict(state)
        network.about = weights.about()
        return network.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        target = save_directory / WEIGHTS
        target.unlink(missing_ok=True)  # as the mixin does with the rest
        weights = WeightFile({'params': self.state_dict()}, self.about.get('iter'), self.about.get('options'))
        write_weight_file(target, weights, architecture='AIBNet')
        self._hub_mixin_config = dict(self.arguments)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **arguments: Any) -> 'AIBNet':
        hub = {name: arguments.pop(name) for name in OF_HUB}
        if Path(model_id).is_dir():
            network = cls.from_file(Path(model_id) / WEIGHTS)
        else:
            network = cls.from_file(hf_hub_download(repo_id=model_id, filename=WEIGHTS, **hub))
        # The weights say which network they are of; config.json and arguments may not say otherwise.
        wrong = [name for name, value in arguments.items() if network.arguments.get(name, arguments) != value]
        if wrong:
            raise CheckpointError(
                f'{model_id}: {", ".join(wrong)} of its config.json, or of the call, are not those of its weights'
            )
        return network

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The card of :func:`.hub_card.card`; `license` (of the weights) goes into it."""
        return ModelCard(card(self, self.about, **kwargs))
