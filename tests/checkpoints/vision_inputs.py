"""Inputs of which vision-language models make vectors: words, and indices of tests.checkpoints.colqwen's images, in the
order in which they are read.
"""

VISION_INPUTS: tuple[tuple[str | int, ...], ...] = (
    ("a fox",),
    (0,),
    ("the river and the sea in winter",),
    (1, "the red fox"),
    ("see", 4, " and the small lake", 5),
    ("night",),
    (3, 2, "search: cold river? 42!"),
)
FRAMES = {
    "qwen2_5_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "qwen3_5": "<|vision_start|><|image_pad|><|vision_end|>",
    "smolvlm": "<image>",
    "gemma3": "<start_of_image>",
}
"""What stands for an image in the texts of a family."""
