"""``fairlead mirror``: a published dataset in a bucket or in another folder."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.commands.shared import JsonFlag, emit, settings_of


def mirror(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Dataset id, as the catalog shows it.")],
    url: Annotated[str, typer.Argument(help="s3://bucket/prefix or file:///folder.")],
    as_json: JsonFlag = False,
) -> None:
    """Copy a published, public dataset to object storage and read every file back.

    Credentials and endpoint of S3 come from the AWS_* variables. Repeating it copies nothing that is there.

    Example: fairlead mirror ds-43a373fe8ae78841 s3://open-images/fairlead
    """
    from fairlead.database import open_database
    from fairlead.errors import NotPermitted
    from fairlead.progress import default_progress
    from fairlead.publish import DatasetStore, mirror_folder
    from fairlead.storage import open_store

    settings = settings_of(context)
    datasets = DatasetStore(settings, open_database(settings))
    if datasets.get(dataset).access_rights != "public":
        raise NotPermitted(f"{dataset} is not public.", remedy="Only public datasets are mirrored; everybody could read the copy.")
    folder = datasets.folder(dataset)
    prefix = folder.relative_to(settings.published_folder).as_posix()
    report = mirror_folder(folder, open_store(url), prefix=prefix, progress=default_progress())
    document = {"dataset": dataset, "url": f"{url.rstrip('/')}/{prefix}", **report.model_dump(mode="json")}
    emit(document, as_json=as_json, text=lambda: f"{report.copied} of {report.seen} files copied to {document['url']}, all verified")


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command()(mirror)
