"""The routes below Streamlit's base path, too, so that a proxy passes one path on and the page and APIs are there."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

from components.access.address import base_path
from components.api.nowhere import Nowhere


class _Beside(Mount):
    """A mount that claims only what one of its routes takes: the page lives below the same path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if match is not Match.NONE:
            inner = {**scope, **child_scope}
            match = max((route.matches(inner)[0] for route in self.routes), key=lambda found: found.value)
        return match, child_scope


def with_base_path(routes: Sequence[BaseRoute]) -> list[BaseRoute]:
    """The routes as they are, and below ``server.baseUrlPath`` if there is one; then what is nowhere."""
    base = base_path()
    return [*routes, *([_Beside(base, routes=routes)] if base else []), Nowhere()]
