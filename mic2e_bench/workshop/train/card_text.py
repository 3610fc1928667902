"""The words of the model cards; the figures come from the evaluation."""

SHARED = (
    "Small, trained from scratch by this project on scenes that it draws itself (`mic2e_bench.workshop.scenes`): "
    "textured backgrounds, objects with soft shadows, a reflection now and then. No other data, no published weights. "
    "Classes, component names and call signatures are those of the published pipeline; sizes are about a thousandth. "
    "Licence: the project's."
)
VAE = (
    "The autoencoder (AutoencoderKL, 8x down, 4 channels) is shared by the four diffusion models. It was trained on "
    'crops of 96 pixels, four fifths of scenes and a fifth of random overlapping discs ("dead leaves"), which helps '
    "with photographs."
)
FROZEN = (
    "Text encoders are random and frozen: they give each caption an embedding of its own, which the denoiser learned "
    "to read. The tokenizers know the scenes' words and spell out others."
)
GENERATION = (
    'Recipe: rectified flow on one-object scenes with captions such as "a red star at the left on blue and white '
    'stripes", at 128 pixels (most at first), 256 and, after two fifths of the training, 512 (one step in twenty). '
    "Noise levels lean to the noisy end; the thing counts four times; a tenth of the captions is empty. After two "
    "fifths of the training the target is pushed away from the model's own answer to the empty caption "
    "(arXiv:2502.12154) at noise levels below 0.85, which learns a guidance scale of 2 in: like the published model it "
    "is called without guidance, and from there on the held-out loss, which is of the plain target, may rise. The "
    "published model is distilled to few steps and this one is not. The text encoders are small and learn with the "
    "transformer, helped by a linear reader (not shipped) that has to find the named colours, shape, place and pattern "
    "in their output; with random, frozen encoders the colour of things was near chance after an hour. The tokenizers "
    "know the scenes' words and spell out others."
)

ABOUT = {
    "objectclear": f"""{SHARED}

Removes the object under a mask, with its shadow and reflection: the published ObjectClear layout, loaded by
`mic2e_bench.catalog.models.objectclear.ObjectClearPipeline.from_pretrained`. {VAE}

Recipe: the UNet (9 input channels, widths 32, 64 and 128) and the postfuse module, v-prediction, scaled-linear
noise, leading spacing, AdamW with a cosine, moving average, a tenth of the conditions dropped. The target is the
clean plate; the mask is the object's alone, so the shadow is for the model to find. Object and shadow count four
times. The first cross-attention layer is taught to look at the word "object" from the object and its shadow, because
attention-guided fusion reads that map. Samples are 256-pixel crops of scenes drawn at 256 to 512 pixels; after two
fifths of the training one step in seven sees whole 512-pixel scenes. {FROZEN}""",
    "sdxl-inpaint": f"""{SHARED}

Paints what is under a mask anew, after a prompt such as "blue and white stripes" (the background) or "a red star".
{VAE}

Recipe: the UNet has the shape of the bundled removal model's and starts from its weights; v-prediction, masked part
counting four times, a tenth of the prompts dropped. Where the background is asked for, every second sample still has
the thing's shadow beside the mask, as it is where an object is removed by inpainting: the background alone belongs
under the mask. It keeps what is outside of the mask, so a shadow there stays; the truth that it is measured against
has none. {FROZEN}""",
    "flux-schnell": f"""{SHARED}

Text to image. {VAE}

{GENERATION} Prompts were padded to 32, 64 or 256 tokens. The weights in the repository learned a guidance scale of 2.5
at all noise levels between minutes 16 and 34, and until then from more pictures at 128 pixels; `make bundled` does as
said above.""",
    "z-image-turbo": f"""{SHARED}

Text to image. {VAE}

{GENERATION} Until minute 16 the weights in the repository saw more pictures at 128 pixels
than `make bundled` shows.""",
    "sam3": f"""{SHARED}

Text, points or a box to masks. One folder serves `Sam3Model` and `Sam3TrackerModel`, in the published checkpoint's
layout (a Sam3Video config; keys `detector_model`, `tracker_model`, `tracker_neck`), without what only video needs.
224-pixel input, 64 x 64 masks before enlarging.

Recipe: detector and tracker take turns over one backbone; cross entropy and dice on masks; the detector's cheapest
query learns the named thing, a quarter of the phrases names nothing that is there. Phrases are "red star": a colour
and a shape. The text encoder is random and frozen. Each picture has two or more things, and several points, boxes and
phrases ask for things drawn from them; the tracker's decoder learns alone for the first fifth of the time and begins
with attention that finds its own place. Without all that, every prompt of a picture got the same mask. The weights in
the repository met one phrase a picture until minute 18.""",
}

GENERATION_LIMITS = (
    "Not a model for free prompts, for several objects or for sizes above 512 pixels. The thing "
    "has the colour of the caption and, to the eye, its place; it is a blob whose shape is hardly better than chance, "
    "and patterns are coarse. Its figures say nothing about the published model's."
)
LIMITS = {
    "objectclear": "Not a model for photographs, for objects larger than about 200 pixels at 512, or for sizes above "
    "640: it has seen flat scenes only. It stands in for the published model where none can be "
    "downloaded, so that settings have a true effect on quality; its figures say nothing about the "
    "published model's.",
    "sdxl-inpaint": "Not a model for photographs or free prompts: its words are a dozen colours, five shapes and seven "
    "textures. Its figures say nothing about the published model's.",
    "flux-schnell": GENERATION_LIMITS,
    "z-image-turbo": GENERATION_LIMITS,
    "sam3": "Not a model for photographs, for other phrases than a colour and a shape, or for fine outlines: masks "
    "are drawn at 64 x 64 and are ragged. Its figures say nothing about the published model's.",
}
