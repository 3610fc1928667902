"""ObjectClear (arXiv 2505.22636): removes an object together with its shadow and reflection.

Our own implementation on top of diffusers' SDXL inpainting parts. `ObjectClearPipeline` is the call, its
`from_pretrained` reads the published weights, `resize_by_short_side` is what a service does with a picture
before the call.
"""

from .inputs import resize_by_short_side
from .pipeline import ObjectClearOutput, ObjectClearPipeline
from .postfuse import ObjectImageEncoder, PostfuseModule

__all__ = [
    "ObjectClearOutput",
    "ObjectClearPipeline",
    "ObjectImageEncoder",
    "PostfuseModule",
    "resize_by_short_side",
]
