"""Facts to whole program: which file an import means, what an access path stands for, which calls block."""
