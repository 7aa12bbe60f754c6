"""Backups of what cannot be made again: ledger, cohorts, publications and catalog from the database; archive, published and watched files.

The index is not in them, it is made again from ledger and archive. Project keys go to a folder of their own, or nowhere:
who holds a backup must not be able to test pseudonyms.
"""

from __future__ import annotations

from fairlead.backup.gauges import backup_gauges
from fairlead.backup.keeping import KEYS_NOTE, Keys, copy_keys
from fairlead.backup.manifest import Manifest, Vault
from fairlead.backup.restoring import RestoreReport, restore
from fairlead.backup.taking import BackupReport, backup

__all__ = ["KEYS_NOTE", "BackupReport", "Keys", "Manifest", "RestoreReport", "Vault", "backup", "backup_gauges", "copy_keys", "restore"]
