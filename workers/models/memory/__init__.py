"""What a ModelCache decides by: who has used its models, what it does not load, what comes and goes next."""
