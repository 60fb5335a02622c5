"""The presets that readers keep: how to sample, under names of their own. One class over a connection."""

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from components.sampling.presets import LONGEST_NAME, Preset, PresetError, check_preset
from components.store.errors import ConflictError, FullError, NotFoundError
from components.store.schema import presets as table

MOST_PRESETS = 50
"""Of one reader."""


@dataclass(frozen=True)
class KeptPreset:
    """A preset and the id by which it is renamed and deleted."""

    id: str
    preset: Preset


class Presets:
    """What one reader keeps. Nothing here gives or changes what is another reader's."""

    def __init__(self, connection: Connection, reader: str) -> None:
        self._connection = connection
        self._reader = reader

    def list(self) -> Sequence[KeptPreset]:
        """All, in the order in which they were made. One that this version does not take is left out."""
        query = select(table).where(self._is_own()).order_by(table.c.created, table.c.id)
        kept = (_kept(row) for row in self._connection.execute(query))
        return [one for one in kept if one is not None]

    def save(self, preset: Preset) -> str:
        """Keep it, in place of the one with its name if there is one; gives its id.

        Raises:
            FullError: the reader keeps as many as one may.
        """
        values = dict(preset.values)
        own = update(table).where(self._is_own(), table.c.name == preset.name).values({"values": values})
        if not self._connection.execute(own).rowcount:
            if self._count() >= MOST_PRESETS:
                raise FullError
            new = {"id": secrets.token_urlsafe(16), "reader": self._reader, "name": preset.name}
            self._connection.execute(insert(table).values(new | {"values": values, "created": time.time()}))
        query = select(table.c.id).where(self._is_own(), table.c.name == preset.name)
        return str(self._connection.scalars(query).one())

    def bring_in(self, presets: Iterable[Preset]) -> Sequence[str]:
        """Keep those that are not there yet; gives the ids of all. One whose name is another's gets a number behind it.

        Raises:
            FullError: they would be more than one may keep.
        """
        there = {one.preset.name: one for one in self.list()}
        ids: list[str] = []
        for preset in presets:
            number, name = 1, preset.name
            while name in there and there[name].preset.values != preset.values:
                number += 1
                ending = f" ({number})"
                name = preset.name[: LONGEST_NAME - len(ending)] + ending
            if name not in there:
                new = Preset(name, preset.values)
                there[name] = KeptPreset(self.save(new), new)
            ids.append(there[name].id)
        return ids

    def rename(self, preset: str, name: str) -> None:
        """Give one another name.

        Raises:
            ConflictError: another one has it.
            NotFoundError: there is none with this id, or it is somebody else's.
        """
        taken = select(table.c.id).where(self._is_own(), table.c.name == name, table.c.id != preset)
        if self._connection.execute(taken).first() is not None:
            raise ConflictError(name)
        own = update(table).where(table.c.id == preset, self._is_own()).values(name=name)
        if not self._connection.execute(own).rowcount:
            raise NotFoundError(preset)

    def delete(self, preset: str) -> None:
        """Delete one for good.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
        """
        if not self._connection.execute(delete(table).where(table.c.id == preset, self._is_own())).rowcount:
            raise NotFoundError(preset)

    def delete_everything(self) -> None:
        """Delete all of this reader's."""
        self._connection.execute(delete(table).where(self._is_own()))

    def _count(self) -> int:
        query = select(func.count()).select_from(table).where(self._is_own())
        return int(self._connection.execute(query).scalar_one())

    def _is_own(self) -> ColumnElement[bool]:
        return table.c.reader == self._reader


def _kept(row: Row[Any]) -> KeptPreset | None:
    try:
        return KeptPreset(row.id, check_preset(row.name, row._mapping["values"]))
    except PresetError:
        return None
