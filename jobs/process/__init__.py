"""What every process of mlxq needs: logging, colours, an end with its parent, tasks that end, garbage collection, its
share of the processor.
"""
