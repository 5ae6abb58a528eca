"""A checkpoint with fewer bits a weight: made with mlx-lm and mlx-vlm, all of its other files kept, and compared."""
