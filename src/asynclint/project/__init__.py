"""Facts to whole program: which file an import means, what an access path stands for, which calls block."""

from asynclint.project.blocking import Blocked
from asynclint.project.contexts import context_of
from asynclint.project.effects import Effect
from asynclint.project.modules import ProgramModule, roots_of
from asynclint.project.program import Program

__all__ = ["Blocked", "Effect", "Program", "ProgramModule", "context_of", "roots_of"]
