"""images: top-level images, newest first; with `all` also those between, and every read-only layer by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.commands.filters import boolean, check, has_labels, passes
from engine.commands.lookup import image as find
from engine.commands.lookup import is_tagged, shown_names, tags_of
from engine.commands.summaries import ImageSummary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.store.images import ImageRecord

FILTERS = ("dangling", "label", "before", "since", "reference")


def images(
    context: Context, *, all: bool = False, filters: Mapping[str, Sequence[str]] | None = None, name: str = ""
) -> list[ImageSummary]:
    """The images. name: only this repository or repository:tag (with a filter `reference`: a pattern of them).

    Top-level is an image that has a name, or that no other image was made from. With `all`, and no filter, also every
    read-only layer that is not the top of a listed image: the rows that old docker called intermediate images.
    """
    filters = dict(filters or {})
    check(filters, FILTERS)
    if name:
        filters["reference"] = [*filters.get("reference", ()), name]
    store = context.store
    records = store.images.all()
    used = [config.image for config in store.containers.all()]
    parents = {record.parent for record in records if record.parent}
    listed = [record for record in records if all or record.names or record.id not in parents]
    rows = []
    for record in _filtered(context, listed, filters, parents):
        names = tuple(shown for shown in tags_of(record) if passes(filters.get("reference"), _pattern(shown)))
        rows.append(
            ImageSummary(
                id=record.id,
                kind="image",
                names=names,
                parent=record.parent,
                created=record.config.created,
                size=record.size,
                layers=record.layers,
                digest=record.manifest,
                labels=record.config.labels,
                containers=used.count(record.id),
                digests=tuple(name for name in shown_names(record) if "@" in name),
            )
        )
    if all and not filters:
        rows += _layers(context, {record.layers[-1] for record in listed if record.layers})
    return rows


def _layers(context: Context, tops: set[str]) -> list[ImageSummary]:
    """Every read-only layer but these; an image's layers, and those that only a container still stands on."""
    layers = context.store.layers
    found = []
    for record in layers.all():
        if record.kind != "ro" or record.id in tops:
            continue
        chain = tuple(layers.chain(record.id))
        found.append(
            ImageSummary(
                id=record.id,
                kind="layer",
                names=(),
                parent=record.parent or "",
                created=record.created,
                size=layers.size(chain),
                layers=chain,
                digest="",
                labels={},
                containers=0,
            )
        )
    return sorted(found, key=lambda row: (row.created, len(row.layers), row.id), reverse=True)


def _filtered(
    context: Context, records: list[ImageRecord], filters: Mapping[str, Sequence[str]], parents: set[str]
) -> list[ImageRecord]:
    dangling = [boolean(text, "dangling") for text in filters.get("dangling", ())]
    before = [_moment(find(context, ref)) for ref in filters.get("before", ())]
    since = [_moment(find(context, ref)) for ref in filters.get("since", ())]
    return [
        record
        for record in records
        if all((not is_tagged(record) and record.id not in parents) == wanted for wanted in dangling)
        and has_labels(filters.get("label"), record.config.labels)
        and all(_moment(record) < moment for moment in before)
        and all(_moment(record) > moment for moment in since)
        and (
            not filters.get("reference")
            or any(_pattern(shown)(wanted) for shown in shown_names(record) for wanted in filters["reference"])
        )
    ]


def _moment(record: ImageRecord) -> tuple[str, str]:
    return record.config.created, record.id


class _pattern:
    """Whether a name ("user/demo:v1") fits what was asked for: a repository, repository:tag, or a pattern of either."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        repository, colon, tag = shown.rpartition(":")
        self.forms = (shown, repository if colon and "/" not in tag else shown)

    def __call__(self, wanted: str) -> bool:
        from fnmatch import fnmatchcase

        forms = self.forms if "/" in wanted or "/" not in self.shown else ()
        return any(fnmatchcase(form, wanted) for form in forms)
