"""What there is to write for the DICOM files of one run: images, slides, and segmentations on the image they were drawn on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from fairlead.convert.dicom_images import dicom_plan
from fairlead.convert.grids import Grid, grid_of_image, own_grid
from fairlead.convert.grouping import by_series
from fairlead.convert.headers import READ_ELSEWHERE, Header
from fairlead.convert.labels import label_plans, segmentation_plan
from fairlead.convert.located import located
from fairlead.convert.plan import ImagePlan
from fairlead.convert.segmentation import Segmentation, read_segmentation
from fairlead.convert.slides import SlideLimits, slide_plans
from fairlead.convert.sop_classes import Layout
from fairlead.convert.structures import Structures, read_structures, structure_labels
from fairlead.convert.volumes import PlannedImage, Policy, RefusedGroup, plan_series
from fairlead.errors import FairleadError, UnsupportedInput
from fairlead.records import Refusal

type Refuse = Callable[[str, FairleadError], None]

NO_IMAGE: Final = "The image it was drawn on is not among the sources; the lattice is that of its frames."
FRACTIONS: Final = "Fractions between 0 and 1 are values, not labels; they are kept as channels."


@dataclass(slots=True)
class Job:
    """One store to write. ``plan`` takes whether int16 may hold the values; ``drawn`` are segmentations on its grid."""

    name: str
    source: str
    series_uid: str
    frame_of_reference: str
    plan: Callable[[bool], ImagePlan]
    own_files: tuple[Path, ...]
    drawn: list[tuple[Segmentation, Grid]] = field(default_factory=list)
    structures: list[Structures] = field(default_factory=list)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the store depends on."""
        return (*self.own_files, *(source.header.path for source, _ in self.drawn), *(one.header.path for one in self.structures))

    def labelled(self, *, exact: bool, refuse: Refuse) -> tuple[ImagePlan, list[tuple[Segmentation, Grid]]]:
        """Return the plan with its labels, and the segmentations that are no labels; a broken one is refused by itself."""
        plan = self.plan(exact)
        labels = list(plan.labels)
        others: list[tuple[Segmentation, Grid]] = []
        for source, grid in self.drawn:
            try:
                found = label_plans(source, grid)
            except FairleadError as error:
                refuse(f"urn:oid:{source.header.series_uid}", located(error, source.header.path))
                continue
            labels += found
            others += [] if found else [(source, grid)]
        for structures in self.structures:
            try:
                labels += structure_labels(structures, plan)
            except FairleadError as error:
                refuse(f"urn:oid:{structures.header.series_uid}", located(error, structures.header.path))
        return replace(plan, labels=tuple(labels)), others


def dicom_jobs(headers: Sequence[Header], policy: Policy, *, limits: SlideLimits, refuse: Refuse, refused: list[Refusal]) -> list[Job]:
    """Return a job per store, images before the segmentations that found none."""
    images = [header for header in headers if header.layout not in READ_ELSEWHERE]
    slides = [header for header in headers if header.layout is Layout.SLIDE]
    jobs = [*_image_jobs(images, policy, refuse, refused), *_slide_jobs(slides, limits, refuse)]
    orphans: list[Job] = []
    for header in headers:
        if header.layout is not Layout.SEGMENTATION:
            continue
        source = f"urn:oid:{header.series_uid}"
        try:
            segmentation = read_segmentation(header)
            if not _at_home(segmentation, jobs):
                orphans.append(segmentation_job(segmentation, own_grid(segmentation), NO_IMAGE))
        except FairleadError as error:
            refuse(source, located(error, header.path))
    for header in headers:
        if header.layout is Layout.STRUCTURES:
            _give_structures(header, jobs, refuse)
    return jobs + orphans


def segmentation_job(source: Segmentation, grid: Grid, reason: str) -> Job:
    """Return the job that writes a segmentation by itself."""
    header = source.header
    return Job(
        header.sop_instance_uid,
        f"urn:oid:{header.series_uid}",
        header.series_uid,
        header.frame_of_reference_uid,
        lambda exact: segmentation_plan(source, grid, reason),
        (header.path,),
    )


def _image_jobs(headers: Sequence[Header], policy: Policy, refuse: Refuse, refused: list[Refusal]) -> Iterator[Job]:
    for series, members in by_series(headers).items():
        source = f"urn:oid:{series}"
        try:
            planned = plan_series(members, policy)
        except FairleadError as error:
            refuse(source, error)
            continue
        for image in planned:
            if isinstance(image, RefusedGroup):
                reason = f"{image.geometry.reason} ({image.files} files). Use --geometry split or annotate to convert it nevertheless."
                refused.append(Refusal(source=source, code="geometry", reason=reason))
            else:
                yield _image_job(source, image)


def _image_job(source: str, image: PlannedImage) -> Job:
    header = image.members[0].header
    files = tuple({member.header.path: None for member in image.members})
    return Job(image.name, source, header.series_uid, header.frame_of_reference_uid, lambda exact: dicom_plan(image, exact=exact), files)


def _slide_jobs(headers: Sequence[Header], limits: SlideLimits, refuse: Refuse) -> Iterator[Job]:
    for series, members in by_series(headers).items():
        source = f"urn:oid:{series}"
        try:
            for plan in slide_plans(members, limits, refuse):
                files = tuple(header.path for header in members)
                yield Job(plan.name, source, series, members[0].frame_of_reference_uid, _always(plan), files)
        except FairleadError as error:
            refuse(source, error)


def _give_structures(header: Header, jobs: Sequence[Job], refuse: Refuse) -> None:
    """Give a structure set to the first image on whose slices its contours lie, of the series it names before others."""
    try:
        found = read_structures(header)
        near = [job for job in jobs if job.frame_of_reference and job.frame_of_reference == found.frame_of_reference_uid]
        if not near:
            raise UnsupportedInput("The image that the contours were drawn on is not among the sources.", remedy="Give both.")
        homes = sorted(near, key=lambda job: job.series_uid not in found.referenced_series)
        fitting = next((job for job in homes[:-1] if _lies_on(found, job)), homes[-1])
        fitting.structures.append(found)
    except FairleadError as error:
        refuse(f"urn:oid:{header.series_uid}", located(error, header.path))


def _lies_on(structures: Structures, job: Job) -> bool:
    try:
        structure_labels(structures, job.plan(True))
    except FairleadError:
        return False
    return True


def _always(plan: ImagePlan) -> Callable[[bool], ImagePlan]:
    return lambda exact: plan


def _at_home(source: Segmentation, jobs: Sequence[Job]) -> bool:
    """Give the segmentation to the image on whose lattice it lies, one of the series it names before others."""
    near = [job for job in jobs if job.frame_of_reference and job.frame_of_reference == source.header.frame_of_reference_uid]
    for job in sorted(near, key=lambda job: job.series_uid not in source.referenced_series):
        try:
            grid = grid_of_image(source, job.plan(True), job.frame_of_reference)
        except FairleadError:
            continue  # the image is refused when its turn comes, with this reason
        if grid is not None:
            job.drawn.append((source, grid))
            return True
    return False
