"""The public API for plugins, by topic; every name can be imported from `bebertlab.api` itself."""

from __future__ import annotations

from bebertlab.api import (
    encoders,
    ensembles,
    losses,
    metrics,
    models,
    observers,
    plugins,
    quantizers,
    samplers,
    stages,
    tasks,
    training,
)
from bebertlab.api.encoders import *
from bebertlab.api.ensembles import *
from bebertlab.api.losses import *
from bebertlab.api.metrics import *
from bebertlab.api.models import *
from bebertlab.api.observers import *
from bebertlab.api.plugins import *
from bebertlab.api.quantizers import *
from bebertlab.api.samplers import *
from bebertlab.api.stages import *
from bebertlab.api.tasks import *
from bebertlab.api.training import *

__all__ = []
__all__ += encoders.__all__
__all__ += ensembles.__all__
__all__ += losses.__all__
__all__ += metrics.__all__
__all__ += models.__all__
__all__ += observers.__all__
__all__ += plugins.__all__
__all__ += quantizers.__all__
__all__ += samplers.__all__
__all__ += stages.__all__
__all__ += tasks.__all__
__all__ += training.__all__
