"""Implementations of abstract methods."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice

from asynclint.project.answers import Answers
from asynclint.project.modules import ProgramModule
from asynclint.project.resolve import Resolver
from asynclint.project.sources import Sources
from asynclint.project.values import ClassValue, FunctionValue, Instance

_MOST_FILES = 300


class Overrides:
    """Finds the methods that stand behind a stub: those of the subclasses.

    Subclasses are looked for in the class's own module and in the files of its package, below its directory, that
    mention it by name; so the answer does not depend on which files happen to be checked.
    """

    def __init__(
        self,
        resolver: Resolver,
        load: Callable[[str], ProgramModule | None],
        mentions: Callable[[str, bytes], bool],
        sources: Sources,
        answers: Answers,
    ) -> None:
        """Make a finder; `mentions` tells whether the text of a file holds some bytes."""
        self._resolver = resolver
        self._load = load
        self._mentions = mentions
        self._sources = sources
        self._answers = answers

    def of(self, stub: FunctionValue) -> list[FunctionValue]:
        """The implementations of a stub method of a class of the program, in the order of their files."""
        return self._answers.get(("overrides", stub), [], self._find, (stub,))

    def _find(self, stub: FunctionValue) -> list[FunctionValue]:
        module = self._load(stub.path)
        if module is None or stub.receiver is None:
            return []
        name = module.facts.functions[stub.index].name
        methods: dict[FunctionValue, None] = {}
        for cls in self._subclasses(stub.receiver):
            for value in self._resolver.attribute(Instance(cls), name):
                if isinstance(value, FunctionValue) and (value.path, value.index) != (stub.path, stub.index):
                    methods[FunctionValue(value.path, value.index, cls)] = None
        return list(methods)

    def _subclasses(self, base: ClassValue) -> list[ClassValue]:
        return self._answers.get(("subclasses", base), [], self._find_subclasses, (base,))

    def _find_subclasses(self, base: ClassValue) -> list[ClassValue]:
        home, fact = self._resolver.class_facts(base)
        found = []
        for path in self._files(home.path):
            if path != home.path and not self._mentions(path, fact.name.encode()):
                continue
            module = self._load(path)
            self._answers.trace.see(path, "classes")
            for index, cls in enumerate(module.facts.classes if module is not None else ()):
                value = ClassValue(path, index)
                if cls.bases and value != base and base in self._resolver.resolution_order(value):
                    found.append(value)
        return found

    def _files(self, home: str) -> list[str]:
        """The module itself, and the modules below its directory where that is a package, and not too large a one."""
        directory = os.path.dirname(home)
        return self._answers.get(("files", directory), [], self._find_files, (directory,)) or [home]

    def _find_files(self, directory: str) -> list[str]:
        if not self._sources.is_package(directory):
            return []
        files = list(islice(self._below(directory), _MOST_FILES + 1))
        return files if len(files) <= _MOST_FILES else []

    def _below(self, directory: str) -> Iterator[str]:
        for name, is_directory in sorted(self._sources.listing(directory).items()):
            path = os.path.join(directory, name)
            if not is_directory:
                yield path
            elif self._sources.is_package(path):
                yield from self._below(path)
