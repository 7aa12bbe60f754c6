"""The engine: one profile and one project's key, applied to one data set; :mod:`.walk` does the work."""

from __future__ import annotations

import warnings

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from fairlead import keys
from fairlead.deidentify.elements import text_of
from fairlead.deidentify.person import Person, Result
from fairlead.deidentify.pixels import Verdict, shows_face
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.stamp import PixelFacts, stamp
from fairlead.deidentify.walk import Walk

__all__ = ["Deidentifier", "Person", "Result", "Walk"]


class Deidentifier:
    """Applies one profile with one project's key; the same input gives the same output on every machine with this key."""

    def __init__(self, profile: Profile, key: bytes, *, project: str = "default") -> None:
        self.profile = profile
        self.project = project
        self.key = key

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the de-identified copy of a data set; pixels are not judged, file meta and preamble are the writer's business."""
        return self.process(dataset).dataset

    def process(self, dataset: Dataset, *, verdict: Verdict | None = None, defaced: bool = False) -> Result:
        """Return the de-identified copy with the identity that was removed.

        Parameters
        ----------
        verdict : what :func:`fairlead.deidentify.pixels.judge` said of the pixels; None when nobody judged them, and then the
            copy does not claim to be free of burned-in text.
        defaced : whether a plug-in has removed the face from the pixels.

        Raises
        ------
        UnreadableImage : an element that has to be changed cannot be read.
        """
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            person = self.person(dataset)
            profile = self.profile.effective(lambda keyword: str(dataset.get(keyword) or "")) if self.profile.conditions else self.profile
            face = shows_face(dataset) and not defaced
            walk = Walk(profile, self.key, person=person, sop_class=text_of(dataset, "SOPClassUID"))
            walk.remember(dataset)
            copy = walk.dataset(dataset, depth=0)
            stamp(copy, self.profile, pseudonym=person.pseudonym, facts=PixelFacts(verdict, face=face, defaced=defaced))
        return Result(copy, walk.identity, person, profile, face)

    def person(self, dataset: Dataset) -> Person:
        """Return the pseudonyms of the patient; without a Patient ID the study stands for one unknown patient."""
        patient_id = str(dataset.get("PatientID") or "").strip()
        issuer = str(dataset.get("IssuerOfPatientID") or "").strip()
        key = keys.patient_key(self.key, patient_id, issuer) if patient_id else self._unknown(dataset)
        dates = self.profile.dates
        days = keys.day_shift(self.key, key, span_days=dates.span_days, whole_weeks=dates.keep_weekday)
        return Person(key=key, pseudonym=keys.pseudonym_patient(self.key, key), days=days, patient_id=patient_id, issuer=issuer)

    def _unknown(self, dataset: Dataset) -> str:
        """Return the key of the unknown patient of a study."""
        return keys.patient_key(self.key, text_of(dataset, "StudyInstanceUID") or text_of(dataset, "SOPInstanceUID"), "\x1fstudy")
